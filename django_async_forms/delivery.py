"""
Sends an upload's id to Celery, and leaves the upload to recovery if the broker does not answer.

In a request, the message leaves after the response: nobody waits for the broker, and the worker
writes after everything that the view writes to the same row. Outside a request, the message leaves
at the commit, and the caller waits a bounded time, so that a command or a task has sent its
messages when it ends.
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
from .background import BackgroundThread, threads_run_between_requests
from .conf import conf
from .models import Upload, UploadQuerySet

logger = logging.getLogger("django_async_forms")

SAVE_IMAGE = "django_async_forms.save_image"

#: The options of each transport that limit the wait for a broker that accepts a connection and does
#: not answer. The defaults do not fit: redis-py waits for ever, and botocore for five minutes.
_TIMEOUTS = {
    "redis": ("socket_connect_timeout", "socket_timeout"),
    "amqp": ("read_timeout", "write_timeout"),
    "sqs": ("connect_timeout", "read_timeout"),
}

#: The connection of each Celery app, with the time-out that it was made with. Making it from the
#: app's settings takes a third of the time of a message. The sockets are in kombu's pool.
_connections: WeakKeyDictionary[Any, tuple[float, Any]] = WeakKeyDictionary()

#: The thread of each process, by process id. A forked process finds the threads of its ancestors
#: here, but they do not run in it.
_threads: dict[int, BackgroundThread] = {}

#: The circuit breaker: after a failure, this process sends nothing to the broker until this time on
#: the monotonic clock.
_open_until = 0.0


def send(upload: Upload) -> None:
    """
    Send an upload to the workers after the response, or immediately outside a request.

    If the broker is down or silent, this raises nothing and leaves the upload to recovery. Outside
    a request, the caller waits at most twice ``PUBLISH_TIMEOUT``, with any transport. Then the
    circuit breaker opens for ``PUBLISH_PAUSE``, so a command that saves ten images waits once.
    """
    # Tracers read their span from the context in which the image was saved.
    context = copy_context()
    # A request may never end. Do not keep the object alive that identifies it.
    context.run(SyncToAsync.thread_sensitive_context.set, None)  # type: ignore[arg-type]
    schema = getattr(connections[upload.using], "schema_name", None)
    deliver = partial(context.run, _deliver, current_app._get_current_object(), upload, schema)
    if not call_after_response(
        partial(_submit, upload, deliver, wait=not threads_run_between_requests())
    ):
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
        publish(upload)  # In this thread, because a test may have an open transaction in it.
        return
    longest = 2 * conf().PUBLISH_TIMEOUT
    if time.monotonic() >= _open_until:
        thread = _thread()
        try:
            if thread.is_stuck(longest):
                raise TimeoutError("The broker has not answered an earlier message.")
            done = thread.submit(deliver)
            if wait and not done.wait(longest):
                raise TimeoutError(f"The broker has not answered within {longest} s.")
            return
        except Exception as error:
            _open_breaker(upload, error)
    _leave_to_recovery(upload)


def _thread() -> BackgroundThread:
    pid = os.getpid()
    if pid not in _threads and _threads:
        # The sockets belong to the process that this one was forked from.
        _connections.clear()
        pools.reset()  # type: ignore[no-untyped-call]
    return _threads.setdefault(pid, BackgroundThread())


def _deliver(app: Any, upload: Upload, schema: str | None) -> None:
    """Publish an upload's message, in the background thread. Does not raise."""
    global _open_until
    try:
        if schema is not None:
            # For django-tenants: code that adds the tenant to messages reads this connection.
            connection: Any = connections[upload.using]
            connection.set_schema(schema)
        if time.monotonic() < _open_until:
            _leave_to_recovery(upload)
            return
        app.set_current()  # Celery's current app belongs to the thread.
        publish(upload)
    except Exception as error:
        _open_breaker(upload, error)
        _leave_to_recovery(upload)
    else:
        _open_until = 0.0
        logger.info("Upload %s: sent.", upload.pk)
    finally:
        # No request ends in this thread, so nothing else closes the connections that it has used.
        connections.close_all()


def _open_breaker(upload: Upload, error: Exception) -> None:
    global _open_until
    _open_until = time.monotonic() + conf().PUBLISH_PAUSE
    logger.warning("Upload %s: not sent, left to recovery: %r", upload.pk, error)


def _leave_to_recovery(upload: Upload) -> None:
    """Make an upload due now. Does not raise: the upload is due after ``RESEND_AFTER`` anyway."""
    connection = connections[upload.using]
    was_open = connection.connection is not None
    try:
        upload.mark_due()
    except Exception:
        logger.exception("Upload %s: not marked as due.", upload.pk)
    finally:
        # Django has already closed the connections of the request.
        if not was_open:
            connection.close()


@atexit.register
def finish() -> bool:
    """Wait a bounded time until each message is sent or left to recovery; tell whether it is."""
    thread = _threads.get(os.getpid())
    return thread is None or thread.finish(2 * conf().PUBLISH_TIMEOUT)


def publish(upload: Upload) -> None:
    """Publish the message for an upload. Raises ``kombu.exceptions.OperationalError``."""
    task = current_app.tasks[SAVE_IMAGE]
    arguments = (str(upload.pk), upload.using)
    if current_app.conf.task_always_eager:
        try:
            task.apply_async(arguments)
        except Exception:
            # The task itself has failed (task_eager_propagates), not the publishing.
            logger.exception("Upload %s: the eager task failed.", upload.pk)
        return
    timeout = conf().PUBLISH_TIMEOUT
    with pools.producers[_connection(timeout)].acquire(block=True, timeout=timeout) as producer:
        task.apply_async(
            arguments,
            producer=producer,
            # Only use shows whether a connection from the pool has died.
            retry=True,
            retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0},
            # Nobody reads these. Without them, a message is under 1 KiB for any host name.
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
            # botocore tries five times by default.
            bounds["retries"] = {"total_max_attempts": 1}
            bounds = {"client-config": {**options.get("client-config", {}), **bounds}}
        options.update(bounds)
        _connections[app] = timeout, connection
    return connection
