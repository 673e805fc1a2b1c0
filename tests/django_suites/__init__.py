"""Django's own test suites, run with the mixins of this package under its forms and views."""
