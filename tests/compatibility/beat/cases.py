"""The system checks look for the recovery in the tables of django-celery-beat."""

import pytest
from celery import current_app
from django.core.checks import run_checks
from django_celery_beat.models import IntervalSchedule, PeriodicTask

pytestmark = pytest.mark.django_db(databases=["default", "other"])


def found(*databases):
    messages = run_checks(databases=databases)
    return [message for message in messages if message.id == "django_async_forms.W022"]


def schedule(task="django_async_forms.recover_uploads", **values):
    every_minute = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.MINUTES)
    PeriodicTask.objects.create(name=task, task=task, interval=every_minute, **values)


def test_tables_without_the_recovery_are_found():
    schedule("clean")

    (message,) = found("default")

    assert "the periodic tasks in the admin" in message.hint


def test_a_recovery_that_is_turned_off_is_found():
    schedule(enabled=False)

    assert found("default")


def test_tables_with_the_recovery_are_left_alone():
    schedule()

    assert found("default") == []


def test_checks_without_a_database_do_not_ask_the_tables():
    assert found() == []


def test_a_schedule_in_the_settings_is_enough(monkeypatch):
    entry = {"task": "django_async_forms.recover_uploads", "schedule": 60}
    monkeypatch.setitem(current_app.conf.beat_schedule, "recover", entry)

    # The library's scheduler copies it to the tables when it starts.
    assert found("default") == []
