"""Stacks on AWS: prove one (`make prove`), delete one (`make destroy`), describe its parameters."""
