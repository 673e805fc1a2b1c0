"""A small site with pictures, and a ledger that commits with what it tells of."""

from .celery import app

__all__ = ["app"]
