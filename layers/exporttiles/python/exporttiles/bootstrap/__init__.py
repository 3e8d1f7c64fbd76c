"""Wires use cases to adapters, for the Lambda functions. The CLI wires the few that it needs itself."""
