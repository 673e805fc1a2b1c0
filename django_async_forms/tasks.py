"""The Celery tasks: thin callers of ``attach``, ``retries`` and ``recovery``."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from celery import shared_task
from django.db import Error, connections
from django.utils.connection import ConnectionDoesNotExist

from .attach import attach
from .celery_delivery import SAVE_IMAGE
from .conf import conf
from .models import Upload
from .retries import LONGEST_COUNTDOWN, pause_after, record_failure
from .telemetry import observed

logger = logging.getLogger("django_async_forms")


class WorkersLostError(Exception):
    """Every attempt at an upload killed its worker, so none could report an error."""


# Late acknowledgement means at-least-once delivery: a worker that dies leaves its message to
# another one. Two workers may then work on one upload, so attach() is idempotent.
# https://docs.celeryq.dev/en/stable/userguide/tasks.html#Task.acks_late
@shared_task(  # type: ignore[untyped-decorator]
    bind=True,
    name=SAVE_IMAGE,
    acks_late=True,
    reject_on_worker_lost=True,
    ignore_result=True,
    max_retries=None,
    serializer="json",
)
def save_image_task(self: Any, upload_id: str, using: str) -> None:
    """
    Save the image of one upload. A message for an upload that is not pending does nothing.

    The task makes up to ``ASYNC_FORMS["MAX_ATTEMPTS"]`` attempts, with exponential backoff.
    """
    try:
        pause = _attempt_by_id(upload_id, using)
    except Error as error:
        # The outbox itself cannot be written, so Celery counts the attempts.
        pause = pause_after(self.request.retries + 1)
        if pause > LONGEST_COUNTDOWN:
            raise  # The upload is overdue soon, because nothing has changed its row.
        raise self.retry(exc=error, countdown=pause) from error
    # Without a worker, Celery does not wait, and nothing can fill up.
    if pause is not None and (pause <= LONGEST_COUNTDOWN or self.request.is_eager):
        raise self.retry(countdown=pause)


def make_attempt(upload_id: str, using: str) -> float | None:
    """
    Make one attempt to save the image of an upload, in the worker of an engine other than Celery.

    ``upload_id`` is the text of the upload's primary key, and ``using`` the alias of its database.
    An upload that is not pending is ignored.

    Return the seconds after which to send a message again, or ``None``: there is no further
    attempt, or its pause is so long that recovery sends the message. Raises ``django.db.Error`` if
    the outbox cannot be read or written; then recovery sends the message as well.
    """
    pause = _attempt_by_id(upload_id, using)
    return None if pause is None or pause > LONGEST_COUNTDOWN else pause


def _attempt_by_id(upload_id: str, using: str) -> float | None:
    """Make an attempt at a pending upload; return the seconds before the next one, or None."""
    try:
        key = uuid.UUID(upload_id)
        alias = connections[using].alias
    except (ValueError, TypeError, AttributeError, ConnectionDoesNotExist):
        logger.warning("Ignored a message without the id of an upload.")
        return None
    try:
        upload = Upload.objects.using(alias).start(key)
        if upload is None:
            logger.warning(
                "Upload %s: not pending in the database %s. It was attached, superseded or "
                "discarded; or it is kept elsewhere, such as in another schema.",
                key,
                alias,
            )
            return None
        return _attempt(upload)
    except Error:
        _close_if_broken(alias)
        raise


def _attempt(upload: Upload) -> float | None:
    """Attach an upload's image; return the seconds before the next attempt, or None."""
    try:
        if upload.attempts > conf().MAX_ATTEMPTS:
            raise WorkersLostError(
                f"{conf().MAX_ATTEMPTS} attempts ended without reporting an error: the worker was "
                "killed, or ran out of memory or time. Look at the image before you retry."
            )
        with observed("attach", upload):
            attach(upload)
    except Exception as error:
        return record_failure(upload, error)
    return None


# Celery has no type hints, so the decorator is untyped.
@shared_task(  # type: ignore[untyped-decorator]
    name="django_async_forms.recover_uploads", ignore_result=True, serializer="json"
)
def recover_uploads(using: str | None = None) -> None:
    """
    Recover lost uploads. Schedule this task with Celery beat, for example once a minute.

    ``using`` is the alias of a database; it defaults to every database of a model with a file
    field. ``recovery.recover`` describes the work.
    """
    from . import recovery  # A web process starts faster without it.

    for alias in [using] if using else recovery.databases():
        try:
            recovery.recover(alias)
        except Exception:  # Of the database, or of its staging storage.
            logger.exception("Database %s: not recovered.", alias)
            _close_if_broken(alias)


def _close_if_broken(using: str) -> None:
    """
    Let the next task open a new connection if the database has closed this one.

    With ``CELERY_DB_REUSE_MAX``, Celery keeps a connection even then.
    """
    connection = connections[using]
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
