"""From a row in the journal to the image on its instance: what happens in the worker."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from typing import Any

from django.core.exceptions import ObjectDoesNotExist, SuspiciousOperation
from django.core.files.base import File
from django.db import Error, connections, transaction
from django.db.models import FileField, Model
from django.db.models.fields.files import FieldFile
from django.dispatch import Signal
from django.utils import timezone

from .conf import conf
from .detach import own_save
from .fields import image_columns, key_from_text, lock_instance
from .models import Upload
from .signals import image_failed, image_saved
from .storage import StagingFileSystemStorage, staging_storage
from .uploads import reconstruct

logger = logging.getLogger("django_async_forms")


def attach(upload: Upload) -> None:
    """
    Save the image of ``upload`` on its instance, and make an end of what is owed.

    Nothing happens if it is not owed any more by the time that the storage has it. Raises whatever
    the staging storage, the field, the final storage, the model's ``save()`` or the database raise;
    the row and the staged bytes are there for the next attempt then.
    """
    try:
        instance = upload.get_instance()
    except ObjectDoesNotExist:
        logger.info("Upload %s: its instance is gone.", upload.pk)
        Upload.objects.using(upload.using).filter(pk=upload.pk).discard()
        return
    field = upload.get_field()
    before = dict(instance.__dict__)
    stored = _store(upload, instance, field)
    logger.info("Upload %s: stored.", upload.pk)
    try:
        owed = _put_on(upload, instance, field, before)
    except Exception:
        _remove_stored(upload, stored)
        raise
    if not owed:
        logger.info("Upload %s: superseded, cleared or saved meanwhile.", upload.pk)
        _remove_stored(upload, stored)
        return
    logger.info("Upload %s: attached.", upload.pk)
    _send_signal(image_saved, instance, upload)


def pause_after(attempts: int) -> float:
    """Return the seconds to wait after so many attempts: doubling, bounded, jittered."""
    longest = min(conf().RETRY_PAUSE * 2.0 ** min(attempts - 1, 60), conf().MAX_RETRY_PAUSE)
    return longest * random.uniform(0.5, 1)


def give_up_or_wait(upload: Upload, error: Exception) -> float | None:
    """
    Note a failed attempt; return the seconds to wait before the next, or None after the last.

    After the last, the upload is failed and ``image_failed`` is sent. ``SuspiciousOperation`` is
    the last at once: a name that the storage refuses, it will refuse again.
    """
    # What no database takes for text is shown as a question mark: NUL, and half a character.
    text = f"{type(error).__name__}: {error}".replace("\x00", "?")[:2000]
    text = text.encode(errors="replace").decode()
    row = Upload.objects.using(upload.using).pending().filter(pk=upload.pk)
    if upload.attempts < conf().MAX_ATTEMPTS and not isinstance(error, SuspiciousOperation):
        pause = pause_after(upload.attempts)
        due_at = timezone.now() + timedelta(seconds=pause + conf().RESEND_AFTER)
        if row.update(error=text, due_at=due_at):
            logger.warning(
                "Upload %s: attempt %d failed, the next in %.1f s: %s",
                upload.pk,
                upload.attempts,
                pause,
                text,
            )
            return pause
        return None
    due_at = timezone.now() + timedelta(seconds=conf().KEEP_FAILED)
    if row.update(state=Upload.State.FAILED, error=text, due_at=due_at):
        logger.error(
            "Upload %s: failed after %d attempts: %s",
            upload.pk,
            upload.attempts,
            text,
            exc_info=error,
        )
        upload.refresh_from_db()
        try:
            instance = upload.get_instance()
        except (ObjectDoesNotExist, LookupError):
            instance = None
        _send_signal(image_failed, instance, upload)
    return None


def _store(upload: Upload, instance: Model, field: FileField) -> FieldFile:
    """Let the field save the upload as it would have in the request."""
    getattr(instance, field.attname)  # An ImageField measures an image that replaces another.
    with _rebuilt(upload, instance) as uploaded:
        setattr(instance, field.attname, uploaded)
        getattr(instance, field.attname).name = upload.name
        field.pre_save(instance, False)
    stored: FieldFile = getattr(instance, field.attname)
    return stored


@contextmanager
def _rebuilt(upload: Upload, instance: Model) -> Iterator[File[Any]]:
    storage = staging_storage(upload.using)
    content = None
    # A save() of the model's own may well change the image in its place, as many do to shrink it.
    # Through a link that would reach the staged bytes, so such a model gets a copy.
    if isinstance(storage, StagingFileSystemStorage) and own_save(type(instance)) is Model.save:
        content = storage.lend(upload.staged)
    try:
        with (
            closing(content or upload.open_staged()) as staged,
            closing(reconstruct(upload.file, staged)) as uploaded,
        ):
            yield uploaded
    except BaseException:
        if content is not None:
            content.take_back()
        raise


def _put_on(upload: Upload, instance: Model, field: FileField, before: dict[str, object]) -> bool:
    """Write the image's columns and delete the row, in one transaction, if it is still there."""
    # Whatever else the field's own save has set, such as a third-party field's second column.
    columns = {column.name for column in image_columns(field)} | {
        column.name
        for column in instance._meta.concrete_fields
        if column.attname in instance.__dict__
        and instance.__dict__[column.attname] != before.get(column.attname)
    }
    with transaction.atomic(using=upload.using):
        # The instance first, then the upload: the order in which every path locks.
        lock_instance([field], instance, upload.using)
        # Of two workers with the same upload, the one that deletes the row has saved it.
        row = Upload.objects.using(upload.using).pending().filter(pk=upload.pk)
        is_only_attempt, _ = row.filter(attempts=1).delete()
        if not is_only_attempt:
            deleted, _ = row.delete()
            if not deleted:
                return False
            _check_is_there(getattr(instance, field.attname))
        instance.save(using=upload.using, update_fields=columns)
        upload.remove_staged()
    return True


def _check_is_there(stored: FieldFile) -> None:
    """
    Raise what the storage raises for a file that is not there.

    Two workers that ask at once for a name may be given the same, by a storage such as S3. If one
    of them failed, it has removed the file of both, under the lock that this one holds by now.
    """
    with suppress(NotImplementedError):
        stored.storage.size(str(stored.name))


def _remove_stored(upload: Upload, stored: FieldFile) -> None:
    """Remove a file that was stored for nothing, unless the instance may be using it."""
    for tries_left in (2, 1, 0):
        try:
            if stored.name:
                _remove_unless_in_use(upload, stored)
        except Exception as error:
            # It may be for a lost connection that it was stored for nothing; another may be had.
            if isinstance(error, Error) and tries_left:
                continue
            # One file too many in the storage is better than one that an instance needs.
            logger.warning("Upload %s: left a stored file behind.", upload.pk, exc_info=True)
        return


def _remove_unless_in_use(upload: Upload, stored: FieldFile) -> None:
    owner, name, storage = stored.field.model, str(stored.name), stored.storage
    key = {owner._meta.pk.name: key_from_text(owner, upload.object_pk)}
    instances = owner._base_manager.using(upload.using).filter(**key)
    connection = connections[upload.using]
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
    with transaction.atomic(using=upload.using):
        # Under the lock: a commit that was cut off may yet be going through.
        lock_instance([stored.field], stored.instance, upload.using)
        in_use = instances.values_list(stored.field.attname, flat=True).first()
        # A storage that would give the name again overwrites, so the file may be another's by now.
        if in_use != name and storage.get_available_name(name) != name:
            stored.delete(save=False)
            logger.info("Upload %s: removed what was stored for nothing.", upload.pk)


def _send_signal(signal: Signal, instance: Model | None, upload: Upload) -> None:
    sender = None if instance is None else type(instance)
    responses = signal.send_robust(
        sender, instance=instance, field_name=upload.field_name, upload=upload
    )
    for receiver, response in responses:
        if isinstance(response, Exception):
            logger.error(
                "Upload %s: a receiver of the signal raised: %r",
                upload.pk,
                receiver,
                exc_info=response,
            )
