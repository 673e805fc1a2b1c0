"""Helpers for the tests of projects that use the package."""

from __future__ import annotations

from django.db import DEFAULT_DB_ALIAS
from django.test import TestCase

from .attach import attach
from .models import Upload


def save_pending_uploads(using: str = DEFAULT_DB_ALIAS) -> int:
    """
    Save every pending image, in this process and without a broker; return how many there were.

    For use in a ``TestCase``, whose transaction never commits, so that no worker sees the uploads::

        self.client.post("/photos/add/", {"title": "Dune", "image": photo})
        save_pending_uploads()
        self.assertTrue(Photo.objects.get().image)

    ``using`` is the alias of the database. Raises the error that stops an image from being saved.
    """
    uploads = list(Upload.objects.using(using).pending().order_by("created_at"))
    with TestCase.captureOnCommitCallbacks(using=using, execute=True):
        for upload in uploads:
            attach(upload)
    return len(uploads)
