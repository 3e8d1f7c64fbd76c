"""Values and rules of an export: no input, no output, no clock."""
