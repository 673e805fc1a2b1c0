"""Storages with faults: the final storages are slow and fail, the staging storage is full."""

import errno
import random
import time

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import connection

from django_async_forms.storage import DatabaseStorage
from tests.faults.storages import is_database, own

from .draft_steps import current, reach_or_cut
from .reach import now, orders, reach


class Faulty:
    """A slow final storage that carries out orders before and after it stores."""

    def _save(self, name, content):
        orders.note("storing", upload=now.upload, name=name)
        time.sleep(random.expovariate(1 / settings.RUN["slowness"]))
        # Orders are not for other code that stores.
        action = reach("storing") if now.upload is not None else None
        if action == "hang":
            latest = time.monotonic() + 3 * settings.RUN["time_limit"]
            while time.monotonic() < latest:
                time.sleep(0.1)
        if action == "half":
            half = ContentFile(content.read(max(1, content.size // 2)))
            name = super()._save(name, half)
            orders.note("half", upload=now.upload, name=name)
        if action or orders.is_on("refuse"):
            orders.note("refused", upload=now.upload)
            raise OSError("The storage is told to fail.")
        try:
            name = super()._save(name, content)
        except OSError as error:  # A disk that is full keeps a part.
            orders.note("half", upload=now.upload, name=name, error=repr(error))
            raise
        orders.note("stored", upload=now.upload, name=name)
        if now.upload is not None:
            now.stored.add(name)
            reach("stored")
        return name


class Staging:
    """A staging storage that may be full."""

    def _save(self, name, content):
        return super()._save(name, self._fitting(content))

    def _fitting(self, content):
        if not orders.is_on("full"):
            return content
        orders.note("fault", action="full", step="staging", upload=None)
        return _Overflowing(content)

    def delete(self, name):
        if now.upload is not None:
            reach("removing")
        super().delete(name)


class ResumableStaging(Staging):
    """A staging storage to which drafts are sent in parts."""

    def write_at(self, name, offset, content):
        current.change = "part"
        reach_or_cut("part", connection)
        super().write_at(name, offset, self._fitting(content))
        reach_or_cut("part staged", connection)


class StagingRows(ResumableStaging, DatabaseStorage):
    """The database."""

    def for_database(self, using):
        return self if self.using else StagingRows(using)


def staging(alias):
    """Return the staging storage, which may be any storage that a user has named."""
    entry = settings.ENTRIES[alias]
    if is_database(entry):
        return StagingRows(**entry.get("OPTIONS", {}))
    storage = own(alias, entry, None)
    mixin = ResumableStaging if hasattr(storage, "write_at") else Staging
    return own(alias, entry, f"{settings.RUN['name']}_staged", mixin)


def final(alias):
    """Return a final storage in a folder of the run's own."""
    alias = alias if alias in settings.ENTRIES else "default"
    return own(alias, settings.ENTRIES[alias], settings.RUN["name"], Faulty)


class _Overflowing:
    """A file that fits only in part."""

    def __init__(self, content):
        self._content = content

    def __getattr__(self, name):
        return getattr(self._content, name)

    def chunks(self, size=None):
        yield self._content.read(1024)
        self.read()

    def read(self, size=None):
        raise OSError(errno.ENOSPC, "No space left on device (as ordered)")
