"""A small site with pictures, and a ledger that commits together with them."""

from .celery import app

__all__ = ["app"]
