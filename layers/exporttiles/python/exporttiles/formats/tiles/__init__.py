"""Tiles: the formats of images, their headers, and recompression."""
