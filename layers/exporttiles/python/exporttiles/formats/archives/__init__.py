"""Zip archives: written, and read by ranges."""
