"""The ArcGIS REST API: request parameters in, documents out."""
