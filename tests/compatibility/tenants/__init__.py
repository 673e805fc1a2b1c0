"""A project of tenants: each has a schema of its own, with an outbox of its own."""

from .celery import app

__all__ = ["app"]
