"""Metrics, health checks and telemetry, as the how-to page configures them."""

import logging
import sys
from types import ModuleType

import prometheus_client
import pytest
from celery.signals import worker_ready

from django_async_forms.models import Upload
from tests.compatibility import libraries
from tests.pages import block
from tests.recipes.models import Photo
from tests.worker import work_on

pytestmark = pytest.mark.django_db(databases=["default", "other"])

PAGE = "docs/howto/monitoring.rst"


@pytest.fixture
def urls(settings):
    """Sets the URLs of a block of the page."""

    def use(containing):
        settings.ROOT_URLCONF = tuple(block(PAGE, containing).execute().urlpatterns)

    return use


def test_prometheus_scrapes_the_outbox_and_the_durations(urls, client, settings, save_form):
    settings.ASYNC_FORMS = block(PAGE, "prometheus.observe").execute().ASYNC_FORMS
    urls('path("metrics/", metrics)')
    save_form(Photo, title="Dune")

    text = client.get("/metrics/").text

    assert 'async_forms_pending{database="default"} 1.0\n' in text
    assert "async_forms_staging_seconds_count" in text


def test_a_worker_answers_with_its_durations(monkeypatch):
    monkeypatch.setattr(worker_ready, "receivers", [])
    served = []
    monkeypatch.setattr(
        prometheus_client, "start_http_server", lambda port, registry: served.append(registry)
    )
    page = block(PAGE, "@worker_ready.connect").execute()

    worker_ready.send(sender=None)

    assert page.serve_metrics
    assert b"async_forms_storing_seconds" in prometheus_client.generate_latest(served[0])


def test_the_pages_say_that_all_is_well(urls, client):
    urls('path("ready/", ready)')

    assert client.get("/ready/").text == client.get("/health/").text == "ok\n"


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_django_health_check_says_that_all_is_well(urls, client):
    libraries.need("django-health-check")
    urls("HealthCheckView")

    answer = client.get("/health/?format=json")

    assert answer.json() == {"UploadHealthCheck()": "OK"}


def test_a_function_of_a_project_observes_both_steps(settings, monkeypatch, caplog, save_form):
    page = block(PAGE, "time.monotonic").execute()
    telemetry = ModuleType("telemetry")
    telemetry.observe = page.observe
    monkeypatch.setitem(sys.modules, "our_telemetry", telemetry)
    settings.ASYNC_FORMS = {"TELEMETRY": ["our_telemetry.observe"]}
    caplog.set_level(logging.INFO)

    save_form(Photo, title="Dune")
    upload = Upload.objects.get()
    work_on(upload)

    texts = [text.partition(":")[0] for text in caplog.messages if text.endswith(" s")]
    assert texts == [f"stage {upload.pk}", f"attach {upload.pk}"]
