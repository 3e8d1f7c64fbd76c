"""Checks of packages, datasets and caches."""
