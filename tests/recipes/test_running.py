"""Settings of sites that run, and tests of projects, as the pages say to write them."""

import sys
import unittest

import pytest
from celery import current_app
from django.apps import apps
from django.core.checks import run_checks

from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.pages import block, blocks
from tests.project import models as project

SETTINGS = [one for one in blocks() if "\nASYNC_FORMS = " in f"\n{one.code}"]
SCHEDULES = [one for one in blocks() if "CELERY_BEAT_SCHEDULE = {" in one.code]
ROUTES = [one for one in blocks() if "CELERY_TASK_ROUTES = " in one.code]


@pytest.mark.django_db(databases=["default", "other"])  # Django's own checks ask them.
@pytest.mark.parametrize("page", SETTINGS, ids=str)
def test_each_value_of_the_settings_can_be_used(page, settings):
    settings.ASYNC_FORMS = page.execute().ASYNC_FORMS

    assert "django_async_forms.E001" not in {message.id for message in run_checks()}


@pytest.mark.parametrize("page", SCHEDULES, ids=str)
def test_each_task_that_beat_is_to_send_is_there(page, settings):
    code = page.code[page.code.index("CELERY_BEAT_SCHEDULE") :]
    names = {}
    exec(compile(code, str(page), "exec"), names)

    for entry in names["CELERY_BEAT_SCHEDULE"].values():
        assert current_app.tasks[entry["task"]]
        assert set(entry) <= {"task", "schedule", "kwargs"}


@pytest.mark.parametrize("page", ROUTES, ids=str)
def test_each_task_that_has_a_queue_of_its_own_is_there(page):
    assert set(page.execute().CELERY_TASK_ROUTES) <= set(current_app.tasks)


def test_a_router_that_allows_the_tables_in_each_database():
    router = block("docs/howto/databases.rst", "class ArchiveRouter").execute().ArchiveRouter()

    for database in ("default", "archive"):
        assert router.allow_migrate(database, "django_async_forms") is True
    assert router.allow_migrate("default", "archive") is False
    assert router.allow_migrate("archive", "archive") is True
    assert router.allow_migrate("archive", "photos") is False
    assert router.allow_migrate("default", "photos") is None


@pytest.mark.django_db
def test_the_tests_of_a_project(monkeypatch):
    monkeypatch.setitem(sys.modules, "photos.models", project)
    page = block("docs/howto/testing.rst", "class PhotoTests").execute()
    result = unittest.TestResult()

    unittest.defaultTestLoader.loadTestsFromTestCase(page.PhotoTests).run(result)

    assert result.wasSuccessful(), result.errors + result.failures
    assert result.testsRun == 1


@pytest.mark.django_db
@pytest.mark.parametrize("label", ["shrunk_later", "shrunk_before"])
def test_a_model_that_shrinks_its_images(label, save_form, in_memory):
    photo = save_form(
        apps.get_model(label, "Photo"), image=in_memory(data=pictures.jpeg(2000, 100))
    )

    save_pending_uploads()

    photo.refresh_from_db()
    assert photo.image.width == 1600
