"""Benchmarks that anybody can repeat: `python -m bench --help`."""
