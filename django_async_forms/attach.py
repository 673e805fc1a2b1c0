"""From a row in the journal to the image on its instance: what happens in the worker."""

from __future__ import annotations

import logging
import random
from collections.abc import Collection, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from typing import Any

from django.core.exceptions import ObjectDoesNotExist, SuspiciousOperation
from django.core.files.base import File
from django.db import transaction
from django.db.models import Model
from django.db.models.fields.files import FieldFile
from django.db.models.signals import pre_save
from django.dispatch import Signal
from django.utils import timezone

from .conf import conf
from .detach import has_own_save
from .fields import file_fields, image_columns, lock_instance
from .models import Upload
from .signals import image_failed, image_saved
from .storage import StagingFileSystemStorage, staging_storage
from .stored import check_is_there, remove_stored
from .uploads import reconstruct

logger = logging.getLogger("django_async_forms")

#: Where an instance keeps what is attached to it as it is saved.
_ATTEMPT = "_async_forms_attempt"


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
    attempt = _Attempt(upload, instance)
    try:
        attempt.save()
    except _NotOwedError:
        logger.info("Upload %s: superseded, cleared or saved meanwhile.", upload.pk)
        attempt.remove_stored()
        return
    except Exception:
        attempt.remove_stored()
        raise
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


class _NotOwedError(Exception):
    """The upload was superseded or cleared, or another worker has attached it."""


class _Attempt:
    """
    One go at saving an upload on its instance, which begins as the request's would have.

    When ``save()`` of the instance is called, the image is on it and not stored yet. So a
    ``save()`` of the model's own and receivers of ``pre_save`` find what they would have found in
    the request. The last of those receivers is ours.
    """

    def __init__(self, upload: Upload, instance: Model) -> None:
        self.upload = upload
        self.instance = instance
        self.field = upload.get_field()
        # Loaded now, because an ImageField measures an image that replaces another.
        getattr(instance, self.field.attname)
        self._before = dict(instance.__dict__)
        self._transaction = ExitStack()
        self._is_stored = self._is_owed = False

    def save(self) -> None:
        """Store the image, and write it and delete the upload's row in one transaction."""
        upload, instance, name = self.upload, self.instance, self.field.attname
        pre_save.connect(_store_and_lock, sender=type(instance), dispatch_uid=_ATTEMPT)
        with _rebuilt(upload, instance) as uploaded, self._transaction:
            if has_own_save(type(instance)):
                # It may do more after Django's, which is undone if that fails.
                self._begin()
            setattr(instance, name, uploaded)
            getattr(instance, name).name = upload.name
            setattr(instance, _ATTEMPT, self)
            columns = {column.name for column in image_columns(self.field)}
            instance.save(using=upload.using, update_fields=columns)
            if not self._is_stored:
                raise RuntimeError(
                    f"{instance._meta.label}.save() did not come to Django's own save(), "
                    "so the image is not stored. It is called with update_fields and using."
                )
            if not self._is_owed:  # And save() has caught what told it so.
                raise _NotOwedError

    def store_and_lock(self, update_fields: Collection[str] | None) -> None:
        """Have the field store the image; from here to the commit, hold the instance's row."""
        upload, instance, using = self.upload, self.instance, self.upload.using
        self.field.pre_save(instance, False)
        self._is_stored = True
        logger.info("Upload %s: stored.", upload.pk)
        besides = {} if update_fields is None else self._set_besides(update_fields)
        if not has_own_save(type(instance)):
            self._begin()
        # The instance first, then the upload: the order in which every path locks.
        lock_instance([self.field], instance, using)
        # Of two workers with the same upload, the one that deletes the row has saved it.
        row = Upload.objects.using(using).pending().filter(pk=upload.pk)
        is_only_attempt, _ = row.filter(attempts=1).delete()
        if not is_only_attempt:
            deleted, _ = row.delete()
            if not deleted:
                raise _NotOwedError
            check_is_there(getattr(instance, self.field.attname))
        self._is_owed = True
        if besides:
            rows = type(instance)._base_manager.using(using)
            rows.filter(pk=instance.pk).update(**besides)
        upload.remove_staged()

    def _begin(self) -> None:
        self._transaction.enter_context(transaction.atomic(using=self.upload.using))

    def _set_besides(self, update_fields: Collection[str]) -> dict[str, object]:
        """
        Return what was set on the instance for this image, in columns that are not the image's.

        By the field's own save, as a third-party field's second column; by a ``save()`` of the
        model's own or a receiver, as an image's thumbnail.
        """
        instance = self.instance
        for file_field in file_fields(instance):
            if file_field.attname in instance.__dict__:
                file_field.pre_save(instance, False)
        return {
            column.name: instance.__dict__[column.attname]
            for column in instance._meta.concrete_fields
            if column.name not in update_fields
            and column.attname in instance.__dict__
            and instance.__dict__[column.attname] != self._before.get(column.attname)
        }

    def remove_stored(self) -> None:
        """Remove what this attempt has stored for nothing."""
        stored: FieldFile = getattr(self.instance, self.field.attname)
        old = self._before.get(self.field.attname)
        if stored and stored._committed and stored.name != str(old or ""):  # type: ignore[attr-defined]
            remove_stored(self.upload, stored)


def _store_and_lock(instance: Model, update_fields: Collection[str] | None, **kwargs: Any) -> None:
    """Store an image that is being attached, now that everybody has had a look at it."""
    attempt: _Attempt | None = instance.__dict__.pop(_ATTEMPT, None)
    # A copy that a save() of the model's own has made and saves is not what the image is owed to.
    if attempt is not None and attempt.instance is instance:
        attempt.store_and_lock(update_fields)


@contextmanager
def _rebuilt(upload: Upload, instance: Model) -> Iterator[File[Any]]:
    storage = staging_storage(upload.using)
    content = None
    # A save() of the model's own may well change the image in its place, as many do to shrink it.
    # Through a link that would reach the staged bytes, so such a model gets a copy.
    if isinstance(storage, StagingFileSystemStorage) and not has_own_save(type(instance)):
        content = storage.link_out(upload.staged)
    try:
        with (
            closing(content or upload.open_staged()) as staged,
            closing(reconstruct(upload.file, staged)) as uploaded,
        ):
            yield uploaded
    except BaseException:
        if content is not None:
            content.restore_mode()
        raise


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
