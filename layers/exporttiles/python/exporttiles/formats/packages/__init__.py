"""Packages and datasets: the documents and members of each output."""
