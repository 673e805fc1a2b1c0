"""
Handing an upload's id to Celery, whatever the broker does.

In a request, that is after the response: what the view still writes to the same row comes before
what a worker writes, and nobody waits for the broker. Elsewhere it is at the commit, and the caller
waits a bounded time, so that a command or a task that ends has sent what it saved.
"""

from __future__ import annotations

import atexit
import logging
import os
import time
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from asgiref.sync import SyncToAsync
from celery import current_app
from django.db import connections, transaction
from kombu import pools

from .after_response import call_after_response
from .conf import conf
from .models import Upload, UploadQuerySet
from .sender import Sender, threads_go_on

logger = logging.getLogger("django_async_forms")

SAVE_IMAGE = "django_async_forms.save_image"

#: What bounds the waiting on a broker that accepts connections and does not answer, by transport.
#: No library has such a limit of its own that fits: redis-py waits without end, and botocore for
#: five minutes.
_TIMEOUTS = {
    "redis": ("socket_connect_timeout", "socket_timeout"),
    "amqp": ("read_timeout", "write_timeout"),
    "sqs": ("connect_timeout", "read_timeout"),
}

#: What each Celery app sends by, and the time-out that it was made with: to read it from the app's
#: settings takes a third of the time of a message. It holds no socket, those are in kombu's pool.
_connections: WeakKeyDictionary[Any, tuple[float, Any]] = WeakKeyDictionary()

#: The sender of this process, and those of its ancestors, whose threads are not here.
_senders: dict[int, Sender] = {}

#: When this process asks a broker again that did not answer, on the monotonic clock.
_silent_until = 0.0


def send(upload: Upload) -> None:
    """
    Send an upload to the workers, or leave it to recovery: after the response, or else now.

    A broker that is down or silent never raises here. Where there is no request it costs at most
    ``PUBLISH_TIMEOUT`` twice, on any transport. For ``PUBLISH_PAUSE`` after that it is not asked
    at all, so a command that saves ten images waits once.
    """
    # Tracers read their span from the context in which the image was saved.
    context = copy_context()
    # Where a request never ends, nothing may keep alive what it is known by.
    context.run(SyncToAsync.thread_sensitive_context.set, None)  # type: ignore[arg-type]
    schema = getattr(connections[upload.using], "schema_name", None)
    deliver = partial(context.run, _deliver, current_app._get_current_object(), upload, schema)
    if not call_after_response(partial(_submit, upload, deliver, wait=not threads_go_on())):
        _submit(upload, deliver, wait=True)


def retry(uploads: UploadQuerySet) -> int:
    """Send failed uploads to the workers with the attempt count reset; return how many."""
    count = 0
    for upload in uploads.failed():
        if upload.retry():
            transaction.on_commit(partial(send, upload), using=upload.using, robust=True)
            count += 1
    return count


def _submit(upload: Upload, deliver: Callable[[], None], *, wait: bool) -> None:
    if current_app.conf.task_always_eager:
        publish(upload)  # In this thread, whose transaction a test may be in.
        return
    longest = 2 * conf().PUBLISH_TIMEOUT
    if time.monotonic() >= _silent_until:
        sender = _sender()
        try:
            if sender.is_stuck(longest):
                raise TimeoutError("The broker does not answer to an earlier message.")
            done = sender.submit(deliver)
            if wait and not done.wait(longest):
                raise TimeoutError(f"The broker does not answer within {longest} s.")
            return
        except Exception as error:
            _pause(upload, error)
    _leave_to_recovery(upload)


def _sender() -> Sender:
    pid = os.getpid()
    if pid not in _senders and _senders:
        # The sockets belong to the process that this one was forked from.
        _connections.clear()
        pools.reset()  # type: ignore[no-untyped-call]
    return _senders.setdefault(pid, Sender())


def _deliver(app: Any, upload: Upload, schema: str | None) -> None:
    """Publish an upload's message in the sender's thread. Does not raise."""
    global _silent_until
    try:
        if schema is not None:
            # django-tenants': whoever adds the tenant to messages reads it from the connection.
            connection: Any = connections[upload.using]
            connection.set_schema(schema)
        if time.monotonic() < _silent_until:
            _leave_to_recovery(upload)
            return
        app.set_current()  # Celery has one for each thread.
        publish(upload)
    except Exception as error:
        _pause(upload, error)
        _leave_to_recovery(upload)
    else:
        _silent_until = 0.0
        logger.info("Upload %s: sent.", upload.pk)
    finally:
        # No request closes them: neither ours nor those of the project's signal handlers.
        connections.close_all()


def _pause(upload: Upload, error: Exception) -> None:
    global _silent_until
    _silent_until = time.monotonic() + conf().PUBLISH_PAUSE
    logger.warning("Upload %s: not sent, left to recovery: %r", upload.pk, error)


def _leave_to_recovery(upload: Upload) -> None:
    """Make an upload due now. Does not raise: without it, it is due after ``RESEND_AFTER``."""
    connection = connections[upload.using]
    was_open = connection.connection is not None
    try:
        upload.mark_due()
    except Exception:
        logger.exception("Upload %s: not marked as due.", upload.pk)
    finally:
        # Django has closed the connections of a request before this.
        if not was_open:
            connection.close()


@atexit.register
def finish() -> bool:
    """Wait a bounded time until all is sent or left to recovery, and tell whether it is."""
    sender = _senders.get(os.getpid())
    return sender is None or sender.finish(2 * conf().PUBLISH_TIMEOUT)


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
    with pools.producers[_connection(timeout)].acquire(block=True, timeout=timeout) as producer:
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
        driver, options = connection.transport.driver_type, connection.transport_options
        bounds: dict[str, Any] = dict.fromkeys(_TIMEOUTS.get(driver, ()), timeout)
        if driver == "sqs":
            # These are botocore's, which tries five times otherwise.
            bounds["retries"] = {"total_max_attempts": 1}
            bounds = {"client-config": {**options.get("client-config", {}), **bounds}}
        options.update(bounds)
        _connections[app] = timeout, connection
    return connection
