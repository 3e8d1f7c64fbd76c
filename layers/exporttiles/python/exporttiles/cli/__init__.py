"""The command line interface ``exporttiles``."""
