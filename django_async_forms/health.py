"""Tells whether this process can stage images, and whether workers save them, for probes."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from datetime import timedelta

from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from .draft_model import staged_name
from .models import Upload, forget_outboxes, has_outbox
from .recovery import written_databases
from .storage import staging_storage
from .view_kinds import in_no_transaction

logger = logging.getLogger("django_async_forms")

#: How late a pending upload, and the recovery of one, may be before ``health`` reports it.
LATE = timedelta(minutes=10)


def find_problems() -> list[str]:
    """
    Return a sentence for each reason why images are not being saved: here, or by the workers.

    A failed upload is not a problem of a process: it waits for an operator, and is for an alert.
    """
    return [*_staging_problems(), *_worker_problems()]


# A database that does not answer leaves no transaction that the request could end.
@in_no_transaction
def ready(request: HttpRequest) -> HttpResponse:
    """
    Answer a readiness probe: 200 if this process can stage images, else 503 with the reasons.

    It asks each outbox, so it is 503 before ``migrate``, and the staging storage. It does not
    depend on workers: without any, forms are saved as usual.
    """
    return _answer(list(_staging_problems()))


@in_no_transaction
def health(request: HttpRequest) -> HttpResponse:
    """
    Answer whoever watches the site: 200 if images are being saved, else 503 with the reasons.

    Not for a probe that restarts or detaches a process: it is not the fault of one.
    """
    return _answer(find_problems())


def _answer(problems: list[str]) -> HttpResponse:
    # No URL and no name of a user: who may ask is up to the project.
    return HttpResponse(
        "".join(f"{line}\n" for line in problems or ["ok"]),
        status=503 if problems else 200,
        content_type="text/plain; charset=utf-8",
        headers={"Cache-Control": "no-store"},
    )


def _staging_problems() -> Iterator[str]:
    is_migrated = False
    for alias in written_databases():
        try:
            if has_outbox(alias):
                is_migrated = True
                Upload.objects.using(alias).exists()
                staging_storage(alias).exists(staged_name(uuid.UUID(int=0), alias))
        except Exception as error:  # Each staging storage raises its own.
            is_migrated = True  # That is not known now.
            logger.warning("Database %s: no image can be staged for it: %r", alias, error)
            yield f"Images cannot be staged for the database {alias}: {type(error).__name__}."
    if not is_migrated:
        forget_outboxes()  # Another process may run it.
        yield "No database has the table of the outbox: run migrate."


def _worker_problems() -> Iterator[str]:
    latest = timezone.now() - LATE
    for alias in written_databases():
        pending = Upload.objects.using(alias).pending()
        try:
            if not has_outbox(alias):
                continue
            # The first follows from the second, and has an index.
            if pending.filter(created_at__lt=latest, pending_since__lt=latest).exists():
                yield f"An image for the database {alias} has been pending for {_MINUTES} minutes."
            if pending.filter(due_at__lt=latest).exists():
                yield f"Nothing has recovered the database {alias} for {_MINUTES} minutes."
        except Error:
            continue  # _staging_problems() reports it.


_MINUTES = LATE.seconds // 60
