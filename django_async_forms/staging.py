"""Stages an uploaded file: makes its row in the outbox and saves its bytes."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, TypeGuard

from django.core.files.base import File
from django.core.files.storage import Storage
from django.core.files.utils import validate_file_name
from django.db import transaction
from django.db.models import FileField, Model, Subquery, TextField, Value
from django.db.models.functions import Coalesce

from . import context
from .checksum import noted_sha256, sha256_of
from .codec import deconstruct
from .delivery import send
from .draft_file import DraftFile
from .draft_model import staged_name
from .fields import current_values, file_name, key_text, row_of
from .images import SHOWN, dimensions, find_format
from .models import Upload, note_outbox
from .snapshot import FoundUploads
from .storage import DatabaseStorage, StagingFileSystemStorage, staging_storage
from .telemetry import observed

logger = logging.getLogger("django_async_forms")


def claim_draft(uploaded: File[Any], using: str) -> None:
    """
    If ``uploaded`` is a draft, claim it in the open transaction, which inserts its upload.

    Raises ``DraftGoneError`` if another form has claimed it.
    """
    if not isinstance(uploaded, DraftFile):
        return
    draft = uploaded.draft
    if draft.using == using and uploaded.is_changed:
        draft.claim()
        draft.remove_staged()
    elif draft.using == using:
        draft.claim()
    else:  # A router has sent the instance to another database.
        transaction.on_commit(draft.discard, using=using, robust=True)


def stage(
    instance: Model,
    field: FileField,
    uploaded: File[Any],
    *,
    using: str,
    name: str | None = None,
    held: str | None = None,
    is_new: bool = False,
    sender: str = "",
) -> Upload:
    """
    Stage ``uploaded`` for ``field`` of ``instance``, and send its upload after the commit.

    The caller's transaction has locked the row of the instance. ``name`` is passed to the field's
    ``upload_to``; it defaults to the name of the file. ``held`` is the name that the column holds;
    by default, the insert reads it from the row. ``is_new`` says that the database has just chosen
    the key of the row, so no older upload exists for it. ``sender`` is the ``Sender.key`` of the
    person who is shown the image while it is pending.

    The upload of a draft, which the caller has claimed, takes over its id and its staged bytes.

    Raises ``ValueError`` for a file without a name, ``SuspiciousFileOperation`` for a name that no
    storage takes, and the exceptions of the staging storage.
    """
    name = storable(name or uploaded.name or "")
    if not name:
        raise ValueError(
            f"The file for {field} has no name. Give it one, such as "
            'ContentFile(data, name="photo.jpg").'
        )
    validate_file_name(name, allow_relative_path=True)
    draft = unchanged = claimed = None
    if isinstance(uploaded, DraftFile):
        draft = uploaded.draft
        # The bytes that code has changed are staged anew, and those of another database are copied.
        unchanged = None if uploaded.is_changed else draft
        claimed = unchanged if draft.using == using else None
    width, height = dimensions(uploaded)
    upload_id = uuid.uuid4() if claimed is None else claimed.pk
    data, content = deconstruct(uploaded)
    if draft is not None:
        data["class"] = draft.file_class
    upload = Upload(
        id=upload_id,
        model=instance._meta.label_lower,
        object_pk=key_text(field, instance),
        field_name=field.name,
        name=name,
        file=data,
        held=held if held is not None else _held(field, instance, using),
        context=context.capture(),
        width=width,
        height=height,
        staged=staged_name(upload_id, using) if claimed is None else claimed.staged,
        sha256=noted_sha256(uploaded, content) if unchanged is None else unchanged.sha256,
        # A page knows from it whether there is an image to show, without opening the file.
        sender=sender if sender and find_format(uploaded) in SHOWN else "",
    )
    is_saved = claimed is not None
    takes_sha256 = unchanged is None and not upload.sha256
    try:
        with (
            observed("stage", upload),
            # Part of the open transaction: a savepoint would cost two more statements.
            transaction.atomic(using=using, savepoint=False),
            nullcontext() if is_saved else _saving(upload, content, using, takes_sha256),
        ):
            upload.insert(using)
            FoundUploads.of(instance).pop(field.name, None)
            note_outbox(using)
            if not is_new:
                # Look for older uploads after the insert. At SERIALIZABLE, the database refuses one
                # of two forms that look before it.
                uploads = Upload.objects.using(using).for_instance(instance, field.name)
                uploads.exclude(pk=upload.pk).supersede()
            transaction.on_commit(partial(send, upload), using=using, robust=True)
    finally:
        if content is not uploaded:
            content.close()
    logger.info("Upload %s: staged for %s.", upload.pk, field)
    logger.debug("Upload %s: the file is %r.", upload.pk, name)
    return upload


@contextmanager
def _saving(upload: Upload, content: File[Any], using: str, takes_sha256: bool) -> Iterator[None]:
    """
    Save the bytes of an upload before the block runs, and note their name and SHA-256.

    A folder is flushed to the disk while the block runs.
    """
    storage = staging_storage(using)
    if _flushes(storage):
        with storage.saving(upload.staged, content) as upload.staged:
            if takes_sha256:
                upload.sha256 = sha256_of(content)
            yield
        return
    if takes_sha256:  # Before: a storage may close what it has saved.
        upload.sha256 = sha256_of(content)
    upload.staged = save_new(storage, upload.staged, content)
    yield


def _flushes(storage: Storage) -> TypeGuard[StagingFileSystemStorage]:
    """Tell whether a storage saves as ``StagingFileSystemStorage`` does."""
    return (
        isinstance(storage, StagingFileSystemStorage)
        and type(storage)._save is StagingFileSystemStorage._save
        and type(storage).save is Storage.save
    )


def save_new(storage: Storage, name: str, content: File[Any]) -> str:
    """Save a file without looking for a free name: a name made from a UUID is free."""
    if isinstance(storage, DatabaseStorage) and type(storage)._save is DatabaseStorage._save:
        storage.save_new(name, content)
        return name
    if type(storage).save is Storage.save:
        # Each storage defines _save(), which save() calls after looking for a name:
        # https://docs.djangoproject.com/en/stable/howto/custom-file-storage/
        return str(storage._save(name, content))  # type: ignore[attr-defined]
    return storage.save(name, content)


def _held(field: FileField, instance: Model, using: str) -> Any:
    """Return the name that the row holds, if possible as an expression for the insert."""
    if hasattr(field, "from_db_value"):  # The name may differ from the column's value.
        values = current_values(field, instance, using)
        return file_name(values[field.attname]) if values else ""
    name = Subquery(row_of(field, instance, using).values(field.attname)[:1])
    return Coalesce(name, Value(""), output_field=TextField())


def storable(name: str) -> str:
    """
    Remove NUL and lone surrogates, which databases do not store as text.

    Django's storages remove them from their names as well.
    """
    return "".join(char for char in name if char != "\0" and not "\ud800" <= char <= "\udfff")
