"""The Django project of the benchmarks: a model for each final storage, and a Celery app."""

from .celery import app

__all__ = ["app"]
