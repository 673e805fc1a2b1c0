"""Measures the package against its alternatives: ``tests/benchmarks/run``."""
