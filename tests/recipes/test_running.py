"""Settings and tests of projects, as the how-to pages write them."""

import ast
import sys
import unittest
from fnmatch import filter as matching

import pytest
from celery import current_app
from django.apps import apps
from django.core.checks import run_checks

from tests import pictures
from tests.pages import block, blocks
from tests.project import models as project


def setting(block, name):
    """Return the value of a setting in a block, or None. Other settings may need a project."""
    for node in ast.parse(block.code).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return eval(compile(ast.Expression(node.value), str(block), "eval"))
    return None


def setting_in_each_page(name):
    found = [(one, setting(one, name)) for one in blocks() if one.language == "python"]
    return [pytest.param(value, id=str(one)) for one, value in found if value is not None]


@pytest.mark.django_db(databases=["default", "other"])  # Django's own checks query the databases.
@pytest.mark.parametrize(
    "value",
    # tests/compatibility/tasks uses those with a class of the reader's own.
    [param for param in setting_in_each_page("ASYNC_FORMS") if "DELIVERY" not in param.values[0]],
)
def test_each_documented_settings_value_is_valid(value, settings):
    settings.ASYNC_FORMS = value

    assert "django_async_forms.E001" not in {message.id for message in run_checks()}


@pytest.mark.parametrize("schedule", setting_in_each_page("CELERY_BEAT_SCHEDULE"))
def test_each_task_in_a_beat_schedule_exists(schedule):
    for entry in schedule.values():
        assert current_app.tasks[entry["task"]]
        assert set(entry) <= {"task", "schedule", "kwargs"}


@pytest.mark.parametrize("routes", setting_in_each_page("CELERY_TASK_ROUTES"))
def test_each_route_names_a_task_that_exists(routes):
    for pattern in routes:
        assert matching(current_app.tasks, pattern)


def test_a_router_can_allow_the_tables_in_each_database():
    router = block("docs/howto/databases.rst", "class ArchiveRouter").execute().ArchiveRouter()

    for database in ("default", "archive"):
        assert router.allow_migrate(database, "django_async_forms") is True
    assert router.allow_migrate("default", "archive") is False
    assert router.allow_migrate("archive", "archive") is True
    assert router.allow_migrate("archive", "photos") is False
    assert router.allow_migrate("default", "photos") is None


@pytest.mark.django_db
def test_the_documented_tests_of_a_project_pass(monkeypatch):
    monkeypatch.setitem(sys.modules, "photos.models", project)
    page = block("docs/howto/testing.rst", "class PhotoTests").execute()
    result = unittest.TestResult()

    unittest.defaultTestLoader.loadTestsFromTestCase(page.PhotoTests).run(result)

    assert result.wasSuccessful(), result.errors + result.failures
    assert result.testsRun == 2


@pytest.mark.django_db
@pytest.mark.parametrize("label", ["shrunk_later", "shrunk_before"])
def test_a_model_can_shrink_its_images(label, save_and_attach, in_memory):
    image = in_memory(data=pictures.jpeg(2000, 100))

    assert save_and_attach(apps.get_model(label, "Photo"), image=image).image.width == 1600
