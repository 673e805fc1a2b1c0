"""
The steps of the work at which a fault may happen, without a change to the package.

They are Celery's and Django's signals, a statement, and the storages (storages.py). An upload comes
to them in this order: sending (in the site, after the response), started, storing, stored,
attaching (in the transaction), saved (a slide, before its upload is settled), attached (before the
acknowledgement), removing (of the staged bytes).
"""

import logging
import os
import re
import sys
import traceback
from datetime import datetime, timedelta, timezone

from celery import current_app
from celery.signals import (
    after_task_publish,
    before_task_publish,
    task_postrun,
    task_prerun,
    task_received,
)
from django.conf import settings
from django.core.signals import got_request_exception
from django.db import OperationalError, transaction
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from django_async_forms.celery_delivery import SAVE_IMAGE
from django_async_forms.signals import image_failed, image_saved

from .models import Fact, Slide, saved
from .reach import now, orders, reach
from .run import ROLE

# In the worker:


@task_received.connect
def receive(request, **kwargs):
    if request.name == SAVE_IMAGE:
        orders.note("received", upload=request.message.payload[0][0], group=os.getpgid(0))


@task_prerun.connect
def start(sender, args, **kwargs):
    if sender.name == SAVE_IMAGE:
        now.upload, now.stored = args[0], set()
        orders.note("began", upload=now.upload, group=os.getpgid(0))
        reach("started")


@task_postrun.connect
def end(sender, state, **kwargs):
    # Without a state, the time limit is ending the process in the middle of the task.
    if sender.name == SAVE_IMAGE and state is not None:
        orders.note("ended", upload=now.upload, state=state)
        now.upload = None


#: The statements with which a worker writes an image to its row, or removes it after an error.
_WRITES_IMAGE = re.compile(r"UPDATE .site_(?:picture|slide). SET .(image|cover|photo|back). = %s")


@receiver(connection_created)
def watch_statements(connection, **kwargs):
    if settings.ROLE == "worker" and attaching not in connection.execute_wrappers:
        connection.execute_wrappers.append(attaching)


def attaching(execute, sql, params, many, context):
    match = _WRITES_IMAGE.search(sql)
    if not match or now.upload is None:
        return execute(sql, params, many, context)
    # On PostgreSQL, one statement may be the whole transaction. The fact commits with it.
    with transaction.atomic(savepoint=False):
        result = execute(sql, params, many, context)
        if context["cursor"].rowcount:
            field, name = match[1], params[0]
            key = params[sql.partition(" WHERE ")[0].count("%s")]
            what = "attached" if name in now.stored else "detached"
            Fact.objects.create(
                what=what, picture=key, field=field, upload=now.upload, name=name or ""
            )
            if what == "attached":
                reach("attaching", **place(field, key))
    return result


def place(field, key):
    """Return the place of a step, as in notes and orders."""
    return {"slide" if field in ("photo", "back") else "picture": key}


@receiver(saved)
def has_saved(instance, **kwargs):
    if now.upload is not None:
        reach("saved", slide=instance.pk)


@receiver(connection_created)
def watch_locks(connection, **kwargs):
    if connection.vendor == "sqlite" and note_locked not in connection.execute_wrappers:
        connection.execute_wrappers.append(note_locked)


def note_locked(execute, sql, params, many, context):
    """Note a statement that SQLite has refused because the database is locked."""
    try:
        return execute(sql, params, many, context)
    except OperationalError as error:
        if "locked" in str(error):
            orders.note("locked", role=ROLE, sql=sql[:100])
        raise


@receiver(image_saved)
def attached(instance, **kwargs):
    orders.note("attached", upload=now.upload)
    reach("attached", **{"slide" if isinstance(instance, Slide) else "picture": instance.pk})


@receiver(image_failed)
def failed(upload, **kwargs):
    orders.note("failed", upload=str(upload.pk), error=upload.error)


class NotesFilesLeft(logging.Handler):
    """Notes that an attempt left its file, because nobody could tell whether a row has it."""

    def emit(self, record):
        if record.msg == "Upload %s: left its file in the storage.":
            orders.note("left", upload=str(record.args[0]))


logging.getLogger("django_async_forms").addHandler(NotesFilesLeft())

# In the site:


@before_task_publish.connect(sender=SAVE_IMAGE)
def sending(headers, **kwargs):
    if settings.ROLE == "site" and not now.is_duplicating:
        reach("sending")
        if orders.is_on("late"):
            eta = datetime.now(timezone.utc) + timedelta(seconds=2)
            headers["eta"] = eta.isoformat()


@after_task_publish.connect(sender=SAVE_IMAGE)
def sent(body, **kwargs):
    if settings.ROLE == "site" and not now.is_duplicating and orders.is_on("twice"):
        now.is_duplicating = True
        try:
            for countdown in (0, 2):
                current_app.send_task(SAVE_IMAGE, body[0], countdown=countdown)
        finally:
            now.is_duplicating = False
        orders.note("fault", action="twice", step="sending", upload=body[0][0])


@receiver(got_request_exception)
def answer_with_an_error(request, **kwargs):
    error = sys.exc_info()[1]
    token = request.headers.get("X-Token", "")
    frames = "".join(traceback.format_tb(error.__traceback__)[-4:])
    text = f"{repr(error)[:300]}\n{frames}"
    orders.note("error", cause=cause_of(error), error=text, token=token)


def cause_of(error):
    """Return the cause of a failed request in a word."""
    text = ""
    while error is not None:
        text += f" {type(error).__module__}.{type(error).__name__} {error}"
        error = error.__cause__ or error.__context__
    for cause, marks in CAUSES.items():
        if any(mark in text for mark in marks):
            return cause
    return "other"


CAUSES = {
    "deadlock": ("DeadlockDetected", "deadlock", "Deadlock", "Lock wait timeout"),
    "database locked": ("database is locked", "database table is locked"),
    "serialization": ("SerializationFailure",),
    # Two requests that change a deleted row both insert it again, as in plain Django.
    "deleted meanwhile": (
        "did not affect any rows",
        "site_picture_pkey",
        "for key 'PRIMARY'",
        "failed: site_picture.id",
    ),
    "staging full": ("No space left",),
    "broker": ("kombu", "amqp", "redis.", "ConnectionRefused"),
    "database": ("OperationalError", "InterfaceError", "psycopg", "MySQLdb"),
}
