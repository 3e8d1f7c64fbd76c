"""Benchmarks of speed, limits and cost: `make bench` runs them and writes RESULTS.md."""
