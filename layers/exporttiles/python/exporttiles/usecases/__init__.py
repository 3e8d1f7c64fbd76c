"""Use cases: one module for each, taking ports and returning values."""
