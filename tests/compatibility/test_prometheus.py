"""prometheus-client: the metrics of the outbox, and of the processes that work on it."""

import os
import subprocess
import sys
from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import OperationalError, connections
from django.urls import path
from django.utils import timezone

from django_async_forms.draft_model import Draft
from django_async_forms.models import Upload
from django_async_forms.uploads import save_image
from tests.project.models import Photo
from tests.worker import work_on

from . import libraries

libraries.need("prometheus-client")

from prometheus_client.parser import text_string_to_metric_families  # noqa: E402

from django_async_forms.prometheus import metrics  # noqa: E402

pytestmark = pytest.mark.django_db(databases=["default", "other"])

urlpatterns = [path("metrics/", metrics)]


@pytest.fixture
def measured(settings):
    settings.ASYNC_FORMS = {"TELEMETRY": ["django_async_forms.prometheus.observe"]}


@pytest.fixture
def scrape(rf):
    """Asks the view as Prometheus does; returns each sample of a database, or without one."""

    def ask(database="default"):
        return {
            sample.name + (f":{sample.labels['result']}" if "result" in sample.labels else ""): (
                sample.value
            )
            for family in text_string_to_metric_families(metrics(rf.get("/metrics")).text)
            for sample in family.samples
            if sample.labels.get("database", database) == database and "le" not in sample.labels
        }

    return ask


@pytest.fixture
def add_upload(in_memory):
    """Adds an upload that has been pending for ``minutes``, with other columns as given."""

    def make(minutes=0, **columns):
        upload = save_image(in_memory(), Photo.objects.create(title="Dune"))
        past = timezone.now() - timedelta(minutes=minutes)
        columns |= {"created_at": past, "pending_since": past}
        Upload.objects.filter(pk=upload.pk).update(**columns)
        return Upload.objects.get(pk=upload.pk)

    return make


class Refusing(FileSystemStorage):
    def _save(self, name, content):
        raise OSError("No space left on device")


def outbox(samples):
    names = ("pending", "failed", "retried", "overdue", "oldest_pending_seconds", "drafts")
    return {name: samples[f"async_forms_{name}"] for name in names}


def test_the_metrics_of_an_empty_outbox_are_zero(scrape):
    assert set(outbox(scrape()).values()) == {0}


def test_the_metrics_count_pending_uploads_and_their_age(scrape, add_upload):
    add_upload(minutes=20)
    add_upload(minutes=5)
    add_upload(minutes=60, state=Upload.State.FAILED)

    found = scrape()

    assert found["async_forms_pending"] == 2
    assert found["async_forms_failed"] == 1
    assert found["async_forms_oldest_pending_seconds"] == pytest.approx(1200, abs=30)
    assert scrape("other")["async_forms_pending"] == 0


def test_the_metrics_count_retried_uploads(scrape, add_upload):
    add_upload(attempts=1)
    add_upload(attempts=2)

    assert scrape()["async_forms_retried"] == 1


def test_the_metrics_tell_how_late_recovery_is(scrape, add_upload):
    add_upload(due_at=timezone.now() - timedelta(minutes=1))
    add_upload(due_at=timezone.now() - timedelta(minutes=4))

    assert scrape()["async_forms_overdue"] == 1


def test_the_metrics_count_drafts_and_their_bytes(scrape):
    for size in (3, 4):
        Draft.objects.create(purpose="photo", sender="ann", name="dune.jpg", size=size)

    found = scrape()

    assert (found["async_forms_drafts"], found["async_forms_draft_bytes"]) == (2, 7)


def test_a_scrape_makes_two_statements_for_each_database(scrape, django_assert_num_queries):
    scrape()
    with django_assert_num_queries(2):
        scrape()


def refuse(execute, sql, params, many, context):
    raise OperationalError("the server closed the connection")


def test_a_database_that_is_down_hides_neither_the_others_nor_the_durations(scrape, caplog):
    with connections["other"].execute_wrapper(refuse):
        found, missing = scrape(), scrape("other")

    assert found["async_forms_pending"] == 0
    assert "async_forms_storing_seconds_count" in found
    assert "async_forms_pending" not in missing
    assert "Database other: no metrics of its outbox" in caplog.text


@pytest.mark.django_db(databases=["default", "other"], transaction=True)
def test_a_scrape_opens_no_transaction_that_a_database_could_break(settings, client, monkeypatch):
    settings.ROOT_URLCONF = __name__
    found = {}

    def note(execute, sql, params, many, context):
        asked = context["connection"]
        found.setdefault(asked.alias, set()).add(asked.in_atomic_block)
        return execute(sql, params, many, context)

    with ExitStack() as stack:
        for alias in connections:
            monkeypatch.setitem(connections[alias].settings_dict, "ATOMIC_REQUESTS", True)
            stack.enter_context(connections[alias].execute_wrapper(note))
        client.get("/metrics/")

    assert found == {alias: {False} for alias in connections}


def test_the_collector_makes_no_query_when_it_is_registered(django_assert_num_queries):
    from prometheus_client import CollectorRegistry

    from django_async_forms.prometheus import UploadCollector

    with django_assert_num_queries(0):
        CollectorRegistry(auto_describe=True).register(UploadCollector())


def test_an_image_that_an_operator_retries_waits_from_then_on(scrape, add_upload, measured):
    upload = add_upload(minutes=60, state=Upload.State.FAILED)
    before = scrape()["async_forms_waiting_seconds_sum"]

    upload.retry()
    assert scrape()["async_forms_oldest_pending_seconds"] == pytest.approx(0, abs=30)
    work_on(upload)

    assert scrape()["async_forms_waiting_seconds_sum"] - before == pytest.approx(0, abs=30)


def test_an_image_is_measured_from_the_form_to_the_worker(scrape, add_upload, measured):
    before = scrape()
    upload = add_upload(minutes=2)
    work_on(upload)
    after = scrape()

    def added(name):
        return after[f"async_forms_{name}"] - before[f"async_forms_{name}"]

    assert not Upload.objects.exists()
    assert added("staging_seconds_count") == added("waiting_seconds_count") == 1
    assert added("storing_seconds_count") == added("attempts_total:ended") == 1
    assert added("waiting_seconds_sum") == pytest.approx(120, abs=30)
    assert 0 < added("storing_seconds_sum") < 60
    assert added("attempts_total:error") == 0


def test_an_attempt_that_fails_is_counted(
    scrape, add_upload, measured, settings, use_final_storage
):
    settings.ASYNC_FORMS = {**settings.ASYNC_FORMS, "MAX_ATTEMPTS": 2}
    use_final_storage(Refusing)
    before = scrape()

    work_on(add_upload())

    after = scrape()
    assert Upload.objects.failed().exists()
    name = "async_forms_attempts_total:error"
    assert after[name] - before[name] == 2
    name = "async_forms_waiting_seconds_count"
    assert after[name] - before[name] == 1  # The retry did not wait for a worker.


def test_nothing_is_measured_without_the_setting(scrape, add_upload):
    before = scrape()

    work_on(add_upload())

    name = "async_forms_attempts_total:ended"
    assert scrape()[name] == before[name]


#: Attaches nothing, but observes an attempt in this process, and prints what all processes did.
PROCESS = """
import django; django.setup()
from prometheus_client import generate_latest
from django_async_forms.models import Upload
from django_async_forms.prometheus import observe, process_registry
with observe("attach", Upload(attempts=1)): pass
print(generate_latest(process_registry()).decode())
"""


def test_the_durations_of_all_processes_of_a_host_are_added_up(tmp_path):
    variables = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for count in (1, 2):
        done = subprocess.run(
            [sys.executable, "-c", PROCESS],
            env=variables,
            capture_output=True,
            text=True,
            check=True,
        )
        assert f'async_forms_attempts_total{{result="ended"}} {count}.0' in done.stdout
        assert f"async_forms_storing_seconds_count {count}.0" in done.stdout
