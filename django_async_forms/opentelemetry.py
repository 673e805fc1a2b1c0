"""Spans for OpenTelemetry: one in the request, and one for each attempt, linked to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .models import Upload
from .telemetry import Step

_tracer = trace.get_tracer("django_async_forms")
_propagator = TraceContextTextMapPropagator()


@contextmanager
def observe(step: Step, upload: Upload) -> Iterator[None]:
    """
    Make a span of the step, with the errors of an attempt.

    The id of the request's span is in the row of the upload, under ``traceparent`` in its context.
    So an attempt is linked to its request, whoever sent the message: recovery or an operator, too.
    https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
    """
    is_staging = step == "stage"
    with _tracer.start_as_current_span(
        f"{step} image",
        kind=trace.SpanKind.PRODUCER if is_staging else trace.SpanKind.CONSUMER,
        links=() if is_staging else _links(upload),
        attributes={
            "async_forms.upload": str(upload.pk),
            "async_forms.model": upload.model,
            "async_forms.field": upload.field_name,
            "async_forms.attempt": upload.attempts,
        },
    ):
        # A project's CONTEXT may be other data than a dictionary, which has no place for the id.
        if is_staging and isinstance(upload.context, dict):
            carrier: dict[str, str] = {}
            _propagator.inject(carrier)
            upload.context = {**upload.context, **carrier}
        yield


def _links(upload: Upload) -> list[Any]:
    if not isinstance(upload.context, dict):
        return []
    span = trace.get_current_span(_propagator.extract(upload.context)).get_span_context()
    return [trace.Link(span)] if span.is_valid else []
