"""How fast the package is, beside its alternatives: ``tests/benchmarks/run``."""
