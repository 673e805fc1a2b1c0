"""OpenTelemetry: the spans of a request and of its attempts are linked, whoever sends them."""

from contextlib import nullcontext

import pytest
from django.core.files.storage import FileSystemStorage
from django.utils import timezone, translation

from django_async_forms.models import Upload
from django_async_forms.recovery import recover
from django_async_forms.uploads import save_image
from tests.worker import work_on

from . import libraries

libraries.need("opentelemetry-sdk")

from opentelemetry import trace  # noqa: E402
from opentelemetry.sdk.trace import TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: E402
from opentelemetry.sdk.trace.export.in_memory_span_exporter import (  # noqa: E402
    InMemorySpanExporter,
)

pytestmark = pytest.mark.django_db


class WithoutPlace:
    """A project's context that is not a dictionary."""

    def capture(self):
        return ["nl"]

    def restore(self, data):
        assert data == ["nl"]
        return nullcontext()


class Collecting:
    """Delivers messages to a list."""

    in_background = False
    sent = []

    def publish(self, upload):
        self.sent.append(upload)


class Refusing(FileSystemStorage):
    def _save(self, name, content):
        raise OSError("No space left on device")


@pytest.fixture(scope="module")
def exporter():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def spans(exporter, settings):
    """Turns the spans on; returns those that have ended, by name, the last one of each."""
    settings.ASYNC_FORMS = {"TELEMETRY": ["django_async_forms.opentelemetry.observe"]}
    exporter.clear()
    return lambda: {span.name: span for span in exporter.get_finished_spans()}


def test_the_attempt_is_linked_to_the_request(spans, photo, in_memory):
    with trace.get_tracer("site").start_as_current_span("POST /photos/add/"):
        upload = save_image(in_memory(), photo)
    work_on(upload)

    found = spans()
    request, staging, attempt = (
        found[name] for name in ("POST /photos/add/", "stage image", "attach image")
    )
    assert staging.parent.span_id == request.context.span_id
    [link] = attempt.links
    assert link.context.span_id == staging.context.span_id
    assert link.context.trace_id == request.context.trace_id
    assert attempt.attributes["async_forms.upload"] == str(upload.pk)
    assert attempt.attributes["async_forms.model"] == "project.photo"
    assert (staging.kind, attempt.kind) == (trace.SpanKind.PRODUCER, trace.SpanKind.CONSUMER)


def test_an_attempt_that_recovery_sends_is_linked_to_the_request(spans, photo, in_memory, settings):
    settings.ASYNC_FORMS = {**settings.ASYNC_FORMS, "DELIVERY": f"{__name__}.Collecting"}
    save_image(in_memory(), photo)
    Upload.objects.update(due_at=timezone.now())

    with trace.get_tracer("beat").start_as_current_span("recover"):
        recover("default")
    work_on(Collecting.sent.pop())

    found = spans()
    [link] = found["attach image"].links
    assert link.context.span_id == found["stage image"].context.span_id
    assert link.context.trace_id != found["recover"].context.trace_id


def test_the_span_of_an_attempt_has_its_error(spans, photo, in_memory, settings, use_final_storage):
    settings.ASYNC_FORMS = {**settings.ASYNC_FORMS, "MAX_ATTEMPTS": 1}
    use_final_storage(Refusing)

    work_on(save_image(in_memory(), photo))

    attempt = spans()["attach image"]
    assert attempt.status.status_code is trace.StatusCode.ERROR
    assert "No space left on device" in attempt.status.description


def test_the_id_of_the_trace_is_in_the_row_beside_the_context_of_the_project(
    spans, photo, in_memory
):
    with translation.override("nl"):
        save_image(in_memory(), photo)

    context = dict(Upload.objects.get().context)
    trace_id = spans()["stage image"].context.trace_id
    assert context.pop("traceparent").split("-")[1] == f"{trace_id:032x}"
    assert context == {"language": "nl"}


def test_a_context_that_is_not_a_dictionary_is_not_changed(spans, photo, in_memory, settings):
    settings.ASYNC_FORMS = {
        **settings.ASYNC_FORMS,
        "CONTEXT": f"{__name__}.WithoutPlace",
    }

    work_on(save_image(in_memory(), photo))

    assert not Upload.objects.exists()
    assert not spans()["attach image"].links


def test_an_upload_from_before_is_attached_without_a_link(spans, photo, in_memory, settings):
    telemetry = settings.ASYNC_FORMS
    settings.ASYNC_FORMS = {}
    upload = save_image(in_memory(), photo)
    settings.ASYNC_FORMS = telemetry

    work_on(upload)

    assert not Upload.objects.exists()
    assert not spans()["attach image"].links
