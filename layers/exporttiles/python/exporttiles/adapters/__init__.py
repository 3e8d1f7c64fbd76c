"""The ports on AWS and on a local disk."""
