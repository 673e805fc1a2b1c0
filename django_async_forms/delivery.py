"""Handing an upload's id to Celery, in bounded time, whatever the broker does."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary

from celery import current_app
from django.utils import timezone
from kombu.pools import producers

from .conf import conf
from .models import Upload

logger = logging.getLogger("django_async_forms")

SAVE_IMAGE = "django_async_forms.save_image"

#: What bounds the waiting on a broker that accepts connections and does not answer. Neither
#: library has such a limit of its own that fits a request: redis-py waits without end.
_TIMEOUTS = {
    "redis": ("socket_connect_timeout", "socket_timeout"),
    "amqp": ("read_timeout", "write_timeout"),
}

#: What each Celery app sends by, and the time-out that it was made with: to read it from the app's
#: settings takes a third of the time of a message. It holds no socket, those are in kombu's pool.
_connections: WeakKeyDictionary[Any, tuple[float, Any]] = WeakKeyDictionary()

#: When this process asks a broker again that did not answer, on the monotonic clock.
_silent_until = 0.0


def send(upload: Upload) -> bool:
    """
    Send an upload to the workers and return True, or leave it to recovery and return False.

    A broker that is down never raises here and never costs more than ``PUBLISH_TIMEOUT`` twice.
    For ``PUBLISH_PAUSE`` after that it is not asked at all, so a form with ten images waits once.
    """
    global _silent_until
    if time.monotonic() >= _silent_until:
        try:
            publish(upload)
        except Exception as error:
            # The row is committed: recover_uploads sends what could not be sent now.
            _silent_until = time.monotonic() + conf().PUBLISH_PAUSE
            logger.warning("Upload %s: not sent, left to recovery: %r", upload.pk, error)
        else:
            logger.info("Upload %s: sent.", upload.pk)
            return True
    Upload.objects.using(upload.using).pending().filter(pk=upload.pk).update(due_at=timezone.now())
    return False


def publish(upload: Upload) -> None:
    """Publish the message for an upload. Raises ``kombu.exceptions.OperationalError``."""
    task = current_app.tasks[SAVE_IMAGE]
    arguments = (str(upload.pk), upload.using)
    if current_app.conf.task_always_eager:
        try:
            task.apply_async(arguments)
        except Exception:
            # The task has failed (task_eager_propagates), and not the sending.
            logger.exception("Upload %s: the eager task failed.", upload.pk)
        return
    timeout = conf().PUBLISH_TIMEOUT
    with producers[_connection(timeout)].acquire(block=True, timeout=timeout) as producer:
        task.apply_async(
            arguments,
            producer=producer,
            # A connection from the pool may have died since: that is found out by using it.
            retry=True,
            retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0},
            # Nobody reads these, and without them an image costs the broker less than 1 KiB,
            # however long the name of this host.
            argsrepr="",
            origin="-",
            reply_to="-",
        )


def _connection(timeout: float) -> Any:
    app = current_app._get_current_object()
    made_for, connection = _connections.get(app, (None, None))
    if made_for != timeout:
        connection = app.connection_for_write(connect_timeout=timeout)
        options = _TIMEOUTS.get(connection.transport.driver_type, ())
        connection.transport_options.update(dict.fromkeys(options, timeout))
        _connections[app] = timeout, connection
    return connection


def mark_sent(upload: Upload) -> None:
    """
    Note that an upload was sent now, and when to send it again if nothing comes of it.

    Each time it has to be sent again the wait doubles, so that a long queue is not made longer.
    """
    now = timezone.now()
    wait = max(timedelta(seconds=conf().RESEND_AFTER), now - upload.created_at)
    Upload.objects.using(upload.using).filter(pk=upload.pk).update(sent_at=now, due_at=now + wait)
