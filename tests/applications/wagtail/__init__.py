"""Wagtail: docs/howto/wagtail.rst."""
