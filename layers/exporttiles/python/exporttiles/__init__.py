"""Export an area and some levels of a tile cache as an Esri tile package."""

__version__ = "0.1.0"
