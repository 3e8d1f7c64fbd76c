"""Tile caches: documents, listings and names that describe them."""
