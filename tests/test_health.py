"""Whoever watches the site asks whether images can be staged, and whether they are saved."""

from datetime import timedelta
from functools import partial

import pytest
from django.db import OperationalError, connection, connections
from django.urls import path
from django.utils import timezone

from django_async_forms import health
from django_async_forms import models as outbox
from django_async_forms.models import Upload

pytestmark = [
    pytest.mark.django_db(databases=["default", "other"]),
    pytest.mark.urls("tests.test_health"),
]

urlpatterns = [path("ready/", health.ready), path("health/", health.health)]


@pytest.fixture
def ask(client):
    """Asks one of the pages; returns its status and its text."""

    def ask(page):
        answer = client.get(f"/{page}/")
        return answer.status_code, answer.text

    return ask


@pytest.fixture
def age(new_upload):
    """Adds an upload that was made, and was due, so many minutes ago."""

    def make(created=0, due=0, **columns):
        past = timezone.now() - timedelta(minutes=created)
        due_at = timezone.now() - timedelta(minutes=due)
        columns |= {"created_at": past, "pending_since": past, "due_at": due_at}
        Upload.objects.filter(pk=new_upload().pk).update(**columns)

    return make


@pytest.mark.parametrize("page", ["ready", "health"])
def test_a_site_whose_images_are_saved_is_well(ask, age, staging, page):
    age(created=9, due=9)

    assert ask(page) == (200, "ok\n")


def test_a_site_whose_images_wait_is_ready_but_not_well(ask, age):
    age(created=11)

    assert ask("ready") == (200, "ok\n")
    status, text = ask("health")
    assert status == 503
    assert text == "An image for the database default has been pending for 10 minutes.\n"


def test_a_site_without_recovery_is_ready_but_not_well(ask, age):
    age(due=11)

    assert ask("ready") == (200, "ok\n")
    assert ask("health") == (503, "Nothing has recovered the database default for 10 minutes.\n")


def test_a_failed_upload_waits_for_an_operator_and_is_not_a_problem(ask, age):
    age(created=60, due=60, state=Upload.State.FAILED)

    assert ask("health") == (200, "ok\n")


def test_an_upload_that_an_operator_has_just_retried_is_not_late(ask, age):
    age(created=60, due=60, state=Upload.State.FAILED)
    Upload.objects.get().retry()

    assert ask("health") == (200, "ok\n")


@pytest.mark.parametrize("page", ["ready", "health"])
def test_no_page_opens_a_transaction_that_a_database_could_break(ask, page, monkeypatch):
    for alias in connections:
        monkeypatch.setitem(connections[alias].settings_dict, "ATOMIC_REQUESTS", True)
        monkeypatch.setattr(connections[alias], "savepoint", partial(pytest.fail, "a transaction"))

    assert ask(page) == (200, "ok\n")


@pytest.mark.parametrize("page", ["ready", "health"])
def test_a_site_whose_staging_storage_fails_is_not_ready(ask, use_staging_storage, page, caplog):
    use_staging_storage("tests.test_health.Down")

    status, text = ask(page)

    assert status == 503
    assert "Images cannot be staged for the database default: OSError.\n" in text
    assert "secret" not in text
    assert "secret" in caplog.text


class Down:
    def exists(self, name):
        raise OSError("https://secret@storage.example.com does not answer")


def refuse(execute, sql, params, many, context):
    raise OperationalError("the server closed the connection")


@pytest.mark.parametrize("page", ["ready", "health"])
def test_a_site_whose_database_is_down_is_not_ready(ask, page):
    with connection.execute_wrapper(refuse):
        status, text = ask(page)

    assert status == 503
    assert text == "Images cannot be staged for the database default: OperationalError.\n"


def test_a_site_is_ready_as_soon_as_another_process_has_migrated(ask, monkeypatch):
    monkeypatch.setattr(outbox, "_outboxes", {"default": False, "other": False})
    assert ask("ready") == (503, "No database has the table of the outbox: run migrate.\n")

    assert ask("ready") == (200, "ok\n")


def test_no_proxy_keeps_an_answer(client):
    assert client.get("/ready/").headers["Cache-Control"] == "no-store"
