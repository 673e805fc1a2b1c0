"""The installed package: its version, its public names, and its imports."""

import importlib
import subprocess
import sys
from importlib.metadata import metadata, version
from inspect import isfunction

import pytest
from celery.local import Proxy
from django.core.files.storage import Storage
from django.dispatch import Signal
from django.forms import ModelForm
from django.views.generic import CreateView, UpdateView

import django_async_forms

PUBLIC_NAMES = [
    "forms.AsyncImageFormMixin",
    "forms.AsyncImageModelForm",
    "views.AsyncImageViewMixin",
    "views.AsyncImageCreateView",
    "views.AsyncImageUpdateView",
    "uploads.save_image",
    "codec.deconstruct",
    "codec.reconstruct",
    "models.Upload",
    "tasks.save_image_task",
    "tasks.recover_uploads",
    "storage.DatabaseStorage",
    "storage.StagingFileSystemStorage",
    "signals.image_saved",
    "signals.image_failed",
    "test.StagingStorageTests",
    "test.save_pending_uploads",
]


def public(name):
    module, _, attribute = name.partition(".")
    return getattr(importlib.import_module(f"django_async_forms.{module}"), attribute)


def imported_alone(statement):
    """Run a statement in a new process, in which Django has no settings."""
    return subprocess.run(
        [sys.executable, "-c", statement],
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_version_is_that_of_the_installed_distribution():
    assert django_async_forms.__version__ == version("django-async-forms")


def test_a_project_needs_exactly_four_packages():
    required = [
        line.partition(";")[0].partition(">")[0].strip().lower()
        for line in metadata("django-async-forms").get_all("Requires-Dist")
        if "extra ==" not in line
    ]
    assert sorted(required) == ["celery", "django", "django-crispy-forms", "pillow"]


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_a_public_name_can_be_imported_and_has_a_docstring(name):
    named = public(name)
    assert named.__doc__ or isinstance(named, Signal)


def test_the_public_names_are_what_django_and_celery_expect():
    assert issubclass(public("forms.AsyncImageModelForm"), ModelForm)
    assert issubclass(public("views.AsyncImageCreateView"), CreateView)
    assert issubclass(public("views.AsyncImageUpdateView"), UpdateView)
    assert issubclass(public("storage.DatabaseStorage"), Storage)
    assert issubclass(public("storage.StagingFileSystemStorage"), Storage)
    assert isfunction(public("uploads.save_image"))
    assert isinstance(public("tasks.save_image_task"), Proxy)


def test_the_tasks_have_the_names_that_messages_and_schedules_use():
    assert public("tasks.save_image_task").name == "django_async_forms.save_image"
    assert public("tasks.recover_uploads").name == "django_async_forms.recover_uploads"


@pytest.mark.parametrize("module", ["apps", "fields", "signals", "storage"])
def test_a_module_that_settings_or_models_import_needs_no_configured_django(module):
    done = imported_alone(f"import django_async_forms.{module}")
    assert done.returncode == 0, done.stderr


#: What a site and a worker import, with the default settings.
WHOLE = """
import sys
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "crispy_forms", "django_async_forms"],
    ROOT_URLCONF="django_async_forms.urls",
)
import django
django.setup()
from django.core.checks import run_checks
run_checks()
import django_async_forms.forms, django_async_forms.tasks, django_async_forms.health
optional = ("prometheus_client", "opentelemetry", "health_check", "rest_framework")
print(*[name for name in sys.modules if name.split(".")[0] in optional])
"""


def test_the_libraries_of_extras_are_imported_only_where_the_settings_name_them():
    done = imported_alone(WHOLE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_importing_the_package_imports_nothing_else():
    done = imported_alone(
        "import sys, django_async_forms; "
        "print(*[name for name in sys.modules if name.split('.')[0] in ('django', 'celery')])"
    )
    assert done.stdout.split() == [], done.stderr
