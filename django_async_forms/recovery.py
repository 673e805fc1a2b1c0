"""Sends lost uploads again, purges old failed uploads, and removes abandoned staged files."""

from __future__ import annotations

import logging
import random
import re
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

from django.apps import apps
from django.core.files.storage import Storage
from django.db import Error, router
from django.utils import timezone

from .conf import conf
from .delivery import make_delivery
from .draft_model import Draft
from .fields import file_fields, outbox_name
from .models import AbandonedName, Upload, UploadQuerySet, has_outbox
from .storage import is_transactional, staging_storage

#: Half of a minute, after which the next run usually begins.
SENDING_SECONDS = 30

logger = logging.getLogger("django_async_forms")


class Recovered(NamedTuple):
    """The result of a run of ``recover``: the numbers of uploads, drafts and files."""

    sent: int
    purged: int
    expired: int
    abandoned: int


def databases() -> list[str]:
    """Return the aliases of the databases that uploads are kept in."""
    return [alias for alias in written_databases() if _can_be_recovered(alias)]


def written_databases() -> list[str]:
    """Return the aliases of the databases that instances with files are written to."""
    models = [model for model in apps.get_models() if file_fields(model)]
    return sorted({router.db_for_write(model) for model in models})


def _can_be_recovered(using: str) -> bool:
    try:
        return has_outbox(using)
    except Error as error:
        # The other databases can be recovered now, and this one when it is back.
        logger.error("Database %s: not recovered: %s", using, error)
        return False


def recover(using: str, *, now: bool = False) -> Recovered:
    """
    Recover the uploads of one database.

    This purges failed uploads after ``KEEP_FAILED``, sends due uploads again, and removes expired
    drafts and old abandoned staged files. It sends one batch of ``RECOVER_BATCH`` after another,
    the longest due first, for half a minute, because a storage that was down leaves many. It looks
    at one batch of each other kind.

    With ``now``, all pending uploads are due, whenever their next attempt begins.
    """
    batch = conf().RECOVER_BATCH
    uploads = Upload.objects.using(using)
    if now:
        uploads.pending().update(due_at=timezone.now())
    expired_failures = list(uploads.failed().due().values_list("pk", flat=True)[:batch])
    purged = uploads.failed().filter(pk__in=expired_failures).discard()
    sent = _send_again(uploads.pending().due())
    expired = Draft.objects.using(using).expired()[:batch].discard()
    abandoned = remove_abandoned(using, batch)
    recovered = Recovered(sent, purged, expired, abandoned)
    oldest = timezone.now() - timedelta(seconds=conf().KEEP_ABANDONED)
    AbandonedName.objects.using(using).filter(abandoned_at__lte=oldest).delete()
    logger.info("Database %s: %s.", using, recovered)
    return recovered


def _send_again(uploads: UploadQuerySet) -> int:
    sent = 0
    delivery = make_delivery()
    end = time.monotonic() + SENDING_SECONDS
    while batch := list(uploads[: conf().RECOVER_BATCH]):
        for upload in batch:
            try:
                delivery.publish(upload)
            except Exception as error:
                logger.warning(
                    "Recovery stops sending because the broker does not answer: %r", error
                )
                return sent
            upload.mark_sent()
            sent += 1
        if time.monotonic() > end:
            break
    return sent


def remove_abandoned(using: str, batch: int) -> int:
    """Remove a database's old abandoned staged files; look at about ``batch`` files."""
    storage = staging_storage(using)
    if is_transactional(storage, using):
        return 0  # A rollback removes the bytes itself.
    folders = list(_folders(storage, using))
    random.shuffle(folders)  # One run may not reach all folders, but each has its turn.
    removed = seen = 0
    for folder in folders:
        names = [f"{folder}/{name}" for name in storage.listdir(folder)[1]]
        removed += sum(_remove_if_old(storage, name) for name in _abandoned(names, using))
        seen += len(names)
        if seen >= batch:
            break
    return removed


def _folders(storage: Storage, using: str) -> Iterator[str]:
    try:
        folders, _ = storage.listdir(outbox_name(using))
    except FileNotFoundError:
        return  # Nothing has ever been staged.
    except NotImplementedError:
        logger.info("The staging storage cannot list its files: abandoned ones stay.")
        return
    for folder in folders:
        yield f"{outbox_name(using)}/{folder}"


def _abandoned(names: list[str], using: str) -> set[str]:
    candidates: dict[str, uuid.UUID] = {}
    for name in names:
        folder, _, file = name.rpartition("/")
        # The storage may hold other files. Only names of uploads and drafts are candidates.
        if re.fullmatch(r"[0-9a-f]{32}.*", file) and folder.endswith(f"/{file[:2]}"):
            candidates[name] = uuid.UUID(file[:32])
    keys = set(candidates.values())
    # Look for drafts first. A draft that is claimed in between is found among the uploads.
    drafts = Draft.objects.using(using).filter(pk__in=keys).values_list("staged", flat=True)
    named = set(drafts)
    uploads = Upload.objects.using(using).filter(pk__in=keys)
    return set(candidates).difference(named, uploads.values_list("staged", flat=True))


def _remove_if_old(storage: Storage, name: str) -> bool:
    oldest = timezone.now() - timedelta(seconds=conf().KEEP_ABANDONED)
    try:
        if storage.get_modified_time(name) > oldest:
            return False
    except FileNotFoundError:
        return False  # A worker has just moved or removed it.
    storage.delete(name)
    logger.info("Removed the abandoned staged file %s.", name)
    return True
