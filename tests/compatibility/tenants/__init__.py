"""A project of tenants: each has its own schema with its own outbox."""

from .celery import app

__all__ = ["app"]
