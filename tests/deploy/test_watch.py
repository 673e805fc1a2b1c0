"""The metrics of the deployment's site, and the alerts on them."""

import re
from datetime import timedelta

import pytest
from django.http import HttpResponse
from django.utils import timezone

from django_async_forms.models import Upload
from django_async_forms.uploads import save_image
from tests.project.models import Photo

from .files import DEPLOY

pytestmark = pytest.mark.django_db


@pytest.fixture
def ask(production, rf):
    """Requests a path of the site; returns the body of the response."""
    from production.watch import watch

    site = watch(lambda request: HttpResponse("the site itself"))
    return lambda path, **headers: site(rf.get(path, headers=headers)).text


@pytest.fixture
def metrics(ask):
    """Reads the metrics as Prometheus does; returns each value by its name."""

    def read():
        lines = [line.split() for line in ask("/metrics").splitlines()]
        return {line[0]: float(line[1]) for line in lines if line[0] != "#"}

    return read


@pytest.fixture
def add_upload(in_memory):
    """Adds an upload that has been pending for ``minutes``, with other columns as given."""

    def make(minutes=0, **columns):
        upload = save_image(in_memory(), Photo.objects.create(title="Dune"))
        created_at = timezone.now() - timedelta(minutes=minutes)
        Upload.objects.filter(pk=upload.pk).update(created_at=created_at, **columns)

    return make


def test_the_metrics_of_an_empty_outbox_are_zero(metrics):
    assert set(metrics().values()) == {0}


def test_the_metrics_count_pending_uploads_and_their_age(metrics, add_upload):
    add_upload(minutes=20)
    add_upload(minutes=5)
    add_upload(minutes=60, state=Upload.State.FAILED)

    told = metrics()

    assert told["async_forms_pending"] == 2
    assert told["async_forms_failed"] == 1
    assert told["async_forms_oldest_pending_seconds"] == pytest.approx(1200, abs=30)


def test_the_metrics_count_retried_uploads(metrics, add_upload):
    add_upload(attempts=1)
    add_upload(attempts=2)

    assert metrics()["async_forms_retried"] == 1


def test_the_metrics_tell_how_late_recovery_is(metrics, add_upload):
    add_upload(due_at=timezone.now() - timedelta(minutes=1))
    add_upload(due_at=timezone.now() - timedelta(minutes=4))

    assert metrics()["async_forms_overdue"] == 1


def test_the_site_says_that_it_answers_and_does_not_ask_the_database(
    ask, django_assert_num_queries
):
    with django_assert_num_queries(0):
        assert ask("/health") == "ok\n"


@pytest.mark.parametrize("path", ["/health", "/metrics"])
def test_the_metrics_are_not_served_through_the_proxy(ask, path):
    assert ask(path, **{"X-Forwarded-Proto": "https"}) == "the site itself"


def test_each_log_record_to_look_for_is_in_the_reference_with_its_level():
    page = (DEPLOY / "watch.rst").read_text()
    reference = (DEPLOY.parent / "reference.rst").read_text()

    records = re.findall(r"\* - (ERROR|WARNING|INFO) ``(.+?)``", page)

    assert records
    for level, record in records:
        assert re.search(rf"\* - {level}\n     - ``.*{re.escape(record)}", reference), record


def test_each_metric_has_an_alert_and_each_alert_a_metric(metrics):
    alerts = (DEPLOY / "alerts.yaml").read_text()

    assert set(re.findall(r"async_forms_\w+", alerts)) == set(metrics())
