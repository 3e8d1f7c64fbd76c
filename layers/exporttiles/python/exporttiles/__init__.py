"""Export an area and some levels of a tile cache as an Esri tile package."""
