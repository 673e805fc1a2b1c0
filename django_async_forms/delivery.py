"""
Sends an upload's id to the workers, and leaves the upload to recovery if that fails.

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import Any

from asgiref.sync import SyncToAsync
from django.db import connections, transaction
from django.utils.module_loading import import_string

from .after_response import call_after_response
from .background import BackgroundThread, threads_run_between_requests
from .conf import conf
from .models import Upload, UploadQuerySet

logger = logging.getLogger("django_async_forms")

#: The thread of each process, by process id. A forked process finds the threads of its ancestors
#: here, but they do not run in it.
_threads: dict[int, BackgroundThread] = {}

#: The circuit breaker: after a failure, this process sends nothing to the broker until this time on
#: the monotonic clock.
_open_until = 0.0


def make_delivery() -> Any:
    """Make an object of the class that ``DELIVERY`` names, which publishes messages."""
    return import_string(conf().DELIVERY)()


def send(upload: Upload) -> None:
    """
    Send an upload to the workers after the response, or immediately outside a request.

    If the broker is down or silent, this raises nothing and leaves the upload to recovery. Outside
    a request, the caller waits at most twice ``PUBLISH_TIMEOUT``, with any transport. Then the
    circuit breaker opens for ``PUBLISH_PAUSE``, so a command that saves ten images waits once.
    """
    try:
        delivery = make_delivery()
    except Exception as error:
        # Raised after the commit. Django's robust=True raises another error for a partial().
        _open_breaker(upload, error)
        _leave_to_recovery(upload)
        return
    if not delivery.in_background:
        deliver = partial(_deliver, delivery, upload)
        if not call_after_response(deliver):
            deliver()
        return
    # Tracers read their span from the context in which the image was saved.
    context = copy_context()
    # A request may never end. Do not keep the object alive that identifies it.
    context.run(SyncToAsync.thread_sensitive_context.set, None)  # type: ignore[arg-type]
    schema = getattr(connections[upload.using], "schema_name", None)
    deliver = partial(context.run, _deliver, delivery, upload, schema)
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
    longest = 2 * conf().PUBLISH_TIMEOUT
    if time.monotonic() >= _open_until:
        thread = _threads.setdefault(os.getpid(), BackgroundThread())
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


def _deliver(delivery: Any, upload: Upload, schema: str | None = None) -> None:
    """Publish an upload's message, or leave the upload to recovery. Does not raise."""
    global _open_until
    with _no_more_open_connections():
        try:
            if schema is not None:
                # For django-tenants: code that adds the tenant to messages reads this connection.
                connection: Any = connections[upload.using]
                connection.set_schema(schema)
            if delivery.in_background and time.monotonic() < _open_until:
                _leave_to_recovery(upload)
                return
            delivery.publish(upload)
        except Exception as error:
            _open_breaker(upload, error)
            _leave_to_recovery(upload)
        else:
            _open_until = 0.0
            logger.info("Upload %s: sent.", upload.pk)


def _open_breaker(upload: Upload, error: Exception) -> None:
    global _open_until
    _open_until = time.monotonic() + conf().PUBLISH_PAUSE
    logger.warning("Upload %s: not sent, left to recovery: %r", upload.pk, error)


def _leave_to_recovery(upload: Upload) -> None:
    """Make an upload due now. Does not raise: the upload is due after ``RESEND_AFTER`` anyway."""
    with _no_more_open_connections():
        try:
            upload.mark_due()
        except Exception:
            logger.exception("Upload %s: not marked as due.", upload.pk)


@contextmanager
def _no_more_open_connections() -> Iterator[None]:
    """
    Close the connections that the block opens.

    Django has closed those of the request, and no request ends in the background thread.
    """
    before = set(_open_connections())
    try:
        yield
    finally:
        for connection in set(_open_connections()) - before:
            connection.close()


def _open_connections() -> Iterator[Any]:
    for connection in connections.all(initialized_only=True):
        if connection.connection is not None:
            yield connection


@atexit.register
def finish() -> bool:
    """Wait a bounded time until each message is sent or left to recovery; tell whether it is."""
    thread = _threads.get(os.getpid())
    return thread is None or thread.finish(2 * conf().PUBLISH_TIMEOUT)
