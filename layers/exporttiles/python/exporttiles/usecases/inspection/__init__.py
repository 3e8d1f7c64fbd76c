"""Inspection: derive a service from the documents, names and tiles of a cache."""
