"""GeoTIFFs, and drawing them as tiles."""
