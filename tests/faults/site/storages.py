"""Storages with faults: the final storages are slow and fail, the staging storage is full."""

import errno
import random
import time

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import connection

from django_async_forms.storage import DatabaseStorage, StagingFileSystemStorage

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
        name = super()._save(name, content)
        orders.note("stored", upload=now.upload, name=name)
        if now.upload is not None:
            now.stored.add(name)
            reach("stored")
        return name


class Files(Faulty, FileSystemStorage):
    """A folder."""


class Staging:
    """A staging storage that may be full."""

    def _save(self, name, content):
        if orders.is_on("full"):
            orders.note("fault", action="full", step="staging", upload=None)
            content = _Overflowing(content)
        return super()._save(name, content)

    def write_at(self, name, offset, content):
        if orders.is_on("full"):
            orders.note("fault", action="full", step="staging", upload=None)
            content = _Overflowing(content)
        current.change = "part"
        reach_or_cut("part", connection)
        super().write_at(name, offset, content)
        reach_or_cut("part staged", connection)

    def delete(self, name):
        if now.upload is not None:
            reach("removing")
        super().delete(name)


class StagingFiles(Staging, StagingFileSystemStorage):
    """The private folder."""


class StagingRows(Staging, DatabaseStorage):
    """The database."""

    def for_database(self, using):
        return self if self.using else StagingRows(using)


class _Overflowing:
    """A file that fits only in part."""

    def __init__(self, content):
        self._content = content

    def chunks(self, size=None):
        yield self._content.read(1024)
        raise OSError(errno.ENOSPC, "No space left on device (as ordered)")
