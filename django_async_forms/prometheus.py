"""Metrics for Prometheus: the outbox as it is at the scrape, and the durations in each process."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import Error
from django.db.models import Count, Min, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from .draft_model import Draft
from .models import GRACE, Upload, has_outbox
from .recovery import written_databases
from .telemetry import Step
from .view_kinds import in_no_transaction

logger = logging.getLogger("django_async_forms")

#: In seconds: from a hard link to a storage that is down for a quarter of an hour.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)

_staging = Histogram(
    "async_forms_staging_seconds", "Time in which a form stages an image.", buckets=_BUCKETS
)
_waiting = Histogram(
    "async_forms_waiting_seconds",
    "Time from the form until a worker makes the first attempt.",
    buckets=_BUCKETS,
)
_storing = Histogram("async_forms_storing_seconds", "Time of an attempt.", buckets=_BUCKETS)
_attempts = Counter("async_forms_attempts", "Attempts that have ended, by result.", ["result"])
for _result in ("ended", "error"):
    _attempts.labels(_result)  # Zero, and not missing, until there is one.


@contextmanager
def observe(step: Step, upload: Upload) -> Iterator[None]:
    """Measure how long images take to be staged, wait for a worker, and take to be stored."""
    if step == "stage":
        with _staging.time():
            yield
        return
    if upload.attempts == 1:
        _waiting.observe((timezone.now() - upload.pending_since).total_seconds())
    result = "error"
    try:
        with _storing.time():
            yield
        result = "ended"
    finally:
        _attempts.labels(result).inc()


class UploadCollector:
    """
    A collector of prometheus-client, which asks each outbox at the scrape.

    So every process of a site reports the same numbers. Register it in a registry of the project,
    or use the view ``metrics``.
    """

    def describe(self) -> list[Any]:
        """Return no names, so that registering this makes no query."""
        return []

    def collect(self) -> Iterator[Any]:
        """Ask the databases, two statements for each. One that does not answer is left out."""
        families = {
            name: GaugeMetricFamily(f"async_forms_{name}", text, labels=["database"])
            for name, text in _GAUGES.items()
        }
        for alias in written_databases():
            try:
                numbers = _numbers(alias) if has_outbox(alias) else {}
            except Error as error:
                logger.warning("Database %s: no metrics of its outbox: %r", alias, error)
                continue
            for name, value in numbers.items():
                families[name].add_metric([alias], value or 0)
        yield from families.values()


_GAUGES = {
    "pending": "Uploads that wait for a worker.",
    "failed": "Uploads whose attempts have all failed.",
    "retried": "Pending uploads with more than one attempt.",
    "overdue": "Pending uploads that recovery should have looked at three minutes ago.",
    "oldest_pending_seconds": "Age of the oldest pending upload.",
    "drafts": "Staged files that no form has claimed yet.",
    "draft_bytes": "Bytes of the drafts.",
}


def _numbers(using: str) -> dict[str, Any]:
    now, pending = timezone.now(), Q(state=Upload.State.PENDING)
    numbers = Upload.objects.using(using).aggregate(
        pending=Count("pk", filter=pending),
        failed=Count("pk", filter=Q(state=Upload.State.FAILED)),
        retried=Count("pk", filter=pending & Q(attempts__gt=1)),
        overdue=Count("pk", filter=pending & Q(due_at__lt=now - GRACE)),
        oldest=Min("pending_since", filter=pending),
    )
    oldest = numbers.pop("oldest")
    drafts = Draft.objects.using(using).aggregate(drafts=Count("pk"), draft_bytes=Sum("size"))
    age = (now - oldest).total_seconds() if oldest else 0
    return {**numbers, **drafts, "oldest_pending_seconds": age}


def process_registry() -> Any:
    """
    Return the registry with the durations: of this process, or of all of this host.

    With ``PROMETHEUS_MULTIPROC_DIR`` in the environment, the processes of a host collect them in
    that folder: https://prometheus.github.io/client_python/multiprocess/
    """
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    collector: Any = MultiProcessCollector  # Not every release of prometheus-client has its types.
    collector(registry)
    return registry


# A database that does not answer leaves no transaction that the request could end.
@in_no_transaction
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer a scrape: a view, which anyone may ask unless the project protects it."""
    registry = CollectorRegistry()
    registry.register(process_registry())
    registry.register(UploadCollector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
