"""Measurements of the package against its peers: `python -m benchmarks --help`."""
