"""Zip archives: writing, and reading by byte ranges."""
