"""Fixtures of this folder: both ways to save a form, and the settings for made-up input."""

import re
import shutil

import pytest
from django import forms
from django.conf import settings as project
from django.db.models import FileField
from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.project.models import Measured, Photo

# The same examples in each run, so that a new failure comes from the change. Each example cleans
# the database itself, so fixtures may last for the whole test.
settings.register_profile(
    "security",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("security")
set_hypothesis_home_dir(project.DATA / "hypothesis")  # Outside the checkout.


class Way:
    """A way to save a form: with plain Django, or with this package."""

    def __init__(self, name, form_class):
        self.name = name
        self.form_class = form_class

    def form(self, data, files, model=Photo, fields=("title", "image")):
        form_class = forms.modelform_factory(model, form=self.form_class, fields=fields)
        return form_class(data, files)


@pytest.fixture
def both_ways(settings, tmp_path):
    """
    Do a thing both ways; return its result and the stored state for each way.

    The stored state is the files, by name, and the columns of each photo.
    """

    def do(act):
        outcomes = []
        for way in (Way("plain", forms.ModelForm), Way("async", AsyncImageModelForm)):
            settings.MEDIA_ROOT = tmp_path / way.name
            shutil.rmtree(settings.MEDIA_ROOT, ignore_errors=True)
            answer = act(way)
            save_pending_uploads()
            assert not Upload.objects.exists()
            outcomes.append(
                (answer, files_in(settings.MEDIA_ROOT), [*rows(Photo), *rows(Measured)])
            )
            Photo.objects.all().delete()
            Measured.objects.all().delete()
        return outcomes

    return do


def files_in(folder):
    return {
        without_chance(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def rows(model):
    return [
        {
            field.name: without_chance(value) if isinstance(field, FileField) else value
            for field in model._meta.concrete_fields
            if not field.primary_key
            for value in [getattr(instance, field.attname)]
        }
        for instance in model.objects.order_by("pk")
    ]


def without_chance(name):
    """Return a name without the seven random characters of a storage."""
    return re.sub(r"_[A-Za-z0-9]{7}(?=\.\w+$|$)", "_CHANCE", str(name))


@pytest.fixture
def picture():
    """The bytes of one small JPEG, the same for both ways."""
    return pictures.jpeg(seed=0)
