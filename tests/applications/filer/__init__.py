"""Filer: docs/howto/filer.rst."""
