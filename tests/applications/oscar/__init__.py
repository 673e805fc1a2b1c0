"""Oscar: docs/howto/oscar.rst."""
