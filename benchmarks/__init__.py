"""How fast, how far, how dear: `make bench` measures it and writes RESULTS.md."""
