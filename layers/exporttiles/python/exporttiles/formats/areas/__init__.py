"""Formats of areas of interest."""
