"""Celery finds the task that is written by hand in this module."""

from . import by_hand  # noqa: F401
