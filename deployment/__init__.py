"""Commands for stacks on AWS: `make prove` and `make destroy`."""
