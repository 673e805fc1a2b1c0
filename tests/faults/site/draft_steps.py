"""
The steps of a draft at which a fault may happen, in the site.

A part of an image comes to them in this order: part (before its bytes are staged), part staged,
part committing, part committed. Once the last one has come: checked (before the facts are noted).
The form that claims the draft: claimed (the row is deleted), claim committing, claim committed.
Before each statement there is a step of its own: "arrival statement 1", "claim statement 1".
"""

import os
import re
import socket
import threading

from django.conf import settings
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from .reach import reach


class Current(threading.local):
    """The request of this thread."""

    #: "arrival" or "claim", if it has to do with drafts.
    kind = None
    statements = 0
    #: The change that its next commit makes: "part" or "claim".
    change = None


current = Current()


def count_statements(get_response):
    """Tell requests that have to do with drafts from others. A middleware."""

    def answer(request):
        if "X-Drafts" in request.headers:
            current.kind = "arrival" if request.path.startswith("/drafts/") else "claim"
            current.statements, current.change = 0, None
        try:
            return get_response(request)
        finally:
            current.kind = None

    return answer


def reach_or_cut(step, connection):
    """Come to a step, which may cut the connection to the database."""
    if reach(step) == "cut":
        cut(connection)


def cut(connection):
    """Cut a connection to the database, as a network does."""
    with socket.socket(fileno=os.dup(connection.connection.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)


_CHECKED = re.compile(r"UPDATE .django_async_forms_draft. SET .is_checked.")
_CLAIM = re.compile(r"DELETE FROM .django_async_forms_draft.")


@receiver(connection_created)
def watch_drafts(connection, **kwargs):
    if settings.ROLE == "site" and at_a_statement not in connection.execute_wrappers:
        connection.execute_wrappers.append(at_a_statement)
        watch_commits(connection)


def at_a_statement(execute, sql, params, many, context):
    connection = context["connection"]
    if current.kind is None or connection.connection is None:
        return execute(sql, params, many, context)
    current.statements += 1
    reach_or_cut(f"{current.kind} statement {current.statements}", connection)
    if _CHECKED.match(sql):
        reach_or_cut("checked", connection)
    result = execute(sql, params, many, context)
    if current.kind == "claim" and _CLAIM.match(sql):
        current.change = "claim"
        reach_or_cut("claimed", connection)
    return result


def watch_commits(connection):
    """Come to a step before each commit of a draft's change, and after it."""
    commit = connection._commit

    def committing():
        change, current.change = current.change, None
        if change is None:
            commit()
            return
        reach_or_cut(f"{change} committing", connection)
        commit()
        reach_or_cut(f"{change} committed", connection)

    connection._commit = committing
