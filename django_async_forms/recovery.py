"""Bringing back what got lost on the way from the journal to the worker."""

from __future__ import annotations

import logging
import random
import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.core.files.storage import Storage
from django.db import Error, connections, router, transaction
from django.db.models import FileField
from django.utils import timezone

from .conf import conf
from .delivery import mark_sent, publish, send
from .fields import key_from_text
from .models import Upload, UploadQuerySet
from .storage import is_transactional, staging_storage

logger = logging.getLogger("django_async_forms")


@dataclass(frozen=True)
class Recovered:
    """What one run of ``recover`` did, as numbers of uploads and of files."""

    sent: int
    discarded: int
    purged: int
    unowned: int


def databases() -> list[str]:
    """Return the aliases of the databases that uploads are kept in."""
    written = {
        router.db_for_write(model)
        for model in apps.get_models()
        if any(isinstance(field, FileField) for field in model._meta.concrete_fields)
    }
    return sorted(alias for alias in written if _has_table(alias))


def _has_table(using: str) -> bool:
    try:
        return Upload._meta.db_table in connections[using].introspection.table_names()
    except Error as error:
        # The other databases can be recovered all the same, and this one when it is back.
        logger.error("Database %s: not recovered: %s", using, error)
        return False


def recover(using: str) -> Recovered:
    """
    Bring back what got lost in one database, at most ``RECOVER_BATCH`` uploads of each kind.

    Purges the failed uploads past their keep time; discards those whose instance is gone; sends
    again the pending ones that nothing was heard of for a while, longest overdue first; and
    removes staged files that no upload owns, once they are old enough.
    """
    batch = conf().RECOVER_BATCH
    uploads = Upload.objects.using(using)
    overdue = list(uploads.failed().due().values_list("pk", flat=True)[:batch])
    purged = uploads.failed().filter(pk__in=overdue).discard()
    pending = list(uploads.pending().due()[:batch])
    failed = list(uploads.failed().order_by("due_at")[:batch])
    orphans = _without_instance(pending + failed)
    recovered = Recovered(
        purged=purged,
        discarded=uploads.filter(pk__in=[upload.pk for upload in orphans]).discard(),
        sent=_send_again(upload for upload in pending if upload not in orphans),
        unowned=remove_unowned(using, batch),
    )
    logger.info("Database %s: %s.", using, recovered)
    return recovered


def retry(uploads: UploadQuerySet) -> int:
    """Send failed uploads to the workers with all their attempts before them; return how many."""
    count = 0
    for upload in uploads.failed():
        row = Upload.objects.using(upload.using).failed().filter(pk=upload.pk)
        due_at = timezone.now() + timedelta(seconds=conf().RESEND_AFTER)
        if row.update(state=Upload.State.PENDING, attempts=0, due_at=due_at):
            mark_sent(upload)
            transaction.on_commit(partial(send, upload), using=upload.using, robust=True)
            count += 1
    return count


def _without_instance(uploads: Iterable[Upload]) -> set[Upload]:
    """Return the uploads whose instance is gone, with one query for each model."""
    by_field: dict[FileField, dict[Upload, object]] = {}
    for upload in uploads:
        try:
            field = upload.get_field()
            value = key_from_text(field.model, upload.object_pk)
        except (LookupError, FieldDoesNotExist, ValidationError):
            # Not gone for sure: this worker may be older or newer than the rest of the project.
            logger.warning("Upload %s: unknown here: %s.", upload.pk, upload)
        else:
            by_field.setdefault(field, {})[upload] = value
    gone: set[Upload] = set()
    for field, wanted in by_field.items():
        key = field.model._meta.pk
        instances = field.model._base_manager.using(next(iter(wanted)).using)
        living = instances.filter(**{f"{key.name}__in": list(wanted.values())})
        found = set(living.values_list(key.name, flat=True))
        gone.update(upload for upload, value in wanted.items() if value not in found)
    return gone


def _send_again(uploads: Iterable[Upload]) -> int:
    sent = 0
    for upload in uploads:
        try:
            publish(upload)
        except Exception as error:
            logger.warning("Recovery stops sending, the broker does not answer: %r", error)
            break
        mark_sent(upload)
        sent += 1
    return sent


def remove_unowned(using: str, batch: int) -> int:
    """Remove old staged files that no upload of a database owns, of about ``batch`` looked at."""
    storage = staging_storage(using)
    if is_transactional(storage, using):
        return 0  # What rolled back took its bytes with it.
    folders = list(_folders(storage, using))
    random.shuffle(folders)  # So that all have their turn, though a run does not get to all.
    removed = seen = 0
    for folder in folders:
        names = [f"{folder}/{name}" for name in storage.listdir(folder)[1]]
        removed += sum(_remove_if_old(storage, name) for name in _unowned(names, using))
        seen += len(names)
        if seen >= batch:
            break
    return removed


def _folders(storage: Storage, using: str) -> Iterator[str]:
    try:
        folders, _ = storage.listdir(using)
    except FileNotFoundError:
        return  # Nothing was ever staged.
    except NotImplementedError:
        logger.info("The staging storage cannot list its files: unowned ones stay.")
        return
    for folder in folders:
        yield f"{using}/{folder}"


def _unowned(names: list[str], using: str) -> set[str]:
    candidates: dict[str, uuid.UUID] = {}
    for name in names:
        folder, _, file = name.rpartition("/")
        # The storage may hold more than what is staged: only what is named as an upload stages it.
        if re.fullmatch(r"[0-9a-f]{32}.*", file) and folder.endswith(f"/{file[:2]}"):
            candidates[name] = uuid.UUID(file[:32])
    rows = Upload.objects.using(using).filter(pk__in=set(candidates.values()))
    return set(candidates).difference(rows.values_list("staged", flat=True))


def _remove_if_old(storage: Storage, name: str) -> bool:
    oldest = timezone.now() - timedelta(seconds=conf().KEEP_ABANDONED)
    try:
        if storage.get_modified_time(name) > oldest:
            return False
    except FileNotFoundError:
        return False  # Its worker has just moved or removed it.
    storage.delete(name)
    logger.info("Removed the staged file %s, which no upload owns.", name)
    return True
