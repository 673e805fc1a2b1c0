"""Signals for the end of an upload. Both are sent in the process that tried to save the image."""

from __future__ import annotations

import logging
from typing import Any

from django.db.models import Model
from django.dispatch import Signal

logger = logging.getLogger("django_async_forms")

#: Sent after the transaction that attached the image has committed, with ``instance``,
#: ``field_name``, ``upload``, and ``replaced``: the name that the field held before, or ``""``.
#: The sender is the instance's class.
image_saved = Signal()

#: Sent when the last attempt has failed, with ``instance`` (``None`` if it could not be loaded),
#: ``field_name`` and ``upload``, whose ``error`` says why. The sender is the instance's class.
image_failed = Signal()


def send_signal(signal: Signal, instance: Model | None, upload: Any, **more: Any) -> None:
    """Send a signal for an upload that has ended. An error of a receiver is logged."""
    sender = None if instance is None else type(instance)
    responses = signal.send_robust(
        sender, instance=instance, field_name=upload.field_name, upload=upload, **more
    )
    for receiver, response in responses:
        if isinstance(response, Exception):
            logger.error(
                "Upload %s: a receiver of the signal raised: %r",
                upload.pk,
                receiver,
                exc_info=response,
            )
