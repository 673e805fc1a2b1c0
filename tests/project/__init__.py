"""The test project: models for each unusual case, and a Celery app."""

from .celery import app

__all__ = ["app"]
