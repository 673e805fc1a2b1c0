"""A Django project to test with: models for each odd case, and a Celery app."""

from .celery import app

__all__ = ["app"]
