"""The ArcGIS REST dialect: parameters in, documents out."""
