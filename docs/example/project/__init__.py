"""The project of the example. It loads the Celery app, so that the site sends to its broker."""

from .celery import app

__all__ = ["app"]
