"""What follows an attempt that failed: a pause before the next one, or the end of the upload."""

from __future__ import annotations

import logging
import random
from contextlib import ExitStack

from django.core.exceptions import (
    FieldDoesNotExist,
    ObjectDoesNotExist,
    SuspiciousOperation,
    ValidationError,
)

from . import context
from .attach import PermanentError
from .conf import conf
from .models import Upload
from .signals import image_failed, send_signal

logger = logging.getLogger("django_async_forms")

#: The longest pause, in seconds, for which a worker keeps a message. While a storage is down for an
#: hour, messages with longer ones would be all that a worker prefetches, and on a quorum queue no
#: other task would start: https://docs.celeryq.dev/en/stable/userguide/calling.html#eta-and-countdown
LONGEST_COUNTDOWN = 10.0


def pause_after(attempts: int) -> float:
    """Return the seconds before the next attempt: exponential backoff with jitter, bounded."""
    longest = min(conf().RETRY_PAUSE * 2.0 ** min(attempts - 1, 60), conf().MAX_RETRY_PAUSE)
    return longest * random.uniform(0.5, 1)


def record_failure(upload: Upload, error: Exception) -> float | None:
    """
    Note a failed attempt; return the seconds before the next one, or None after the last.

    Recovery sends the upload after a pause above ``LONGEST_COUNTDOWN``. After the last attempt, the
    upload is failed and ``image_failed`` is sent. The attempt is the last if it raised
    ``SuspiciousOperation``, because a storage that refuses a name refuses it again, or
    ``PermanentError``.
    """
    # Databases do not store NUL or a lone surrogate as text. Each becomes a question mark.
    text = f"{type(error).__name__}: {error}".replace("\x00", "?")[:2000]
    text = text.encode(errors="replace").decode()
    is_last = isinstance(error, (SuspiciousOperation, PermanentError))
    if upload.attempts < conf().MAX_ATTEMPTS and not is_last:
        pause = pause_after(upload.attempts)
        if not upload.reschedule(text, pause, is_sent=pause <= LONGEST_COUNTDOWN):
            return None
        logger.warning(
            "Upload %s: attempt %d failed, the next in %.1f s: %s",
            upload.pk,
            upload.attempts,
            pause,
            text,
        )
        return pause
    if upload.fail(text):
        logger.error(
            "Upload %s: failed after %d attempts: %s",
            upload.pk,
            upload.attempts,
            text,
            exc_info=error,
        )
        upload.refresh_from_db()
        _send_failed(upload)
    return None


def _send_failed(upload: Upload) -> None:
    with ExitStack() as stack:
        try:
            stack.enter_context(context.restore(upload.context))
        except Exception:  # The context may be the reason why the upload has failed.
            logger.exception("Upload %s: its context could not be restored.", upload.pk)
        try:
            instance = upload.get_instance()
        except (LookupError, FieldDoesNotExist, ValidationError, ObjectDoesNotExist):
            instance = None  # The model, the field, the kind of key or the row is gone.
        send_signal(image_failed, instance, upload)
