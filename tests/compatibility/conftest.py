"""Runs each case with Django's own form and with ours, and compares the stored rows and files."""

import os
from dataclasses import dataclass, field

import pytest
from django import forms
from django.apps import apps
from django.core.cache import cache
from django.db.models import FileField
from django.forms import modelform_factory

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.test import save_pending_uploads
from tests import pictures

from . import libraries

if os.environ.get("TEST_DATABASE", "sqlite") != "sqlite":
    # What a client sends does not depend on the database. The endpoint is tested on each.
    collect_ignore = ["test_tus_clients.py"]

#: Runs a test with one real worker: no library depends on the broker or the staging storage.
with_worker = pytest.mark.parametrize(
    ("broker_name", "staging"), [("filesystem", "database")], indirect=True, ids=["worker"]
)


@pytest.fixture
def model():
    """Finds a model of the app, or skips the test if its library is not installed."""

    def find(name, library=None):
        if library:
            libraries.need(library)
        return apps.get_model("compatibility", name)

    return find


@dataclass
class Stored:
    """The result of a case: every stored file, every column, and how many uploads there were."""

    files: dict
    columns: list
    uploads: int = field(compare=False)


class Way:
    """A way to save a form: Django's own, or ours."""

    def __init__(self, name, form_class, upload):
        self.name = name
        self.form_class = form_class
        self.upload = upload
        self.uploads = 0

    def form(self, model, data, files=None, instance=None, **kwargs):
        fields = [f.name for f in model._meta.fields if f.editable and not f.primary_key]
        form_class = modelform_factory(model, form=self.form_class, fields=fields, **kwargs)
        form = form_class(data, files or {}, instance=instance)
        assert form.is_valid(), form.errors
        return form

    def save(self, model, data, files=None, instance=None, **kwargs):
        """Save a form as a view does, and its images as workers do; return the stored instance."""
        instance = self.form(model, data, files, instance, **kwargs).save()
        self.work()
        return model.objects.get(pk=instance.pk)

    def replace(self, model):
        """Save a form with an image, and then one with another."""
        old = self.save(model, {"title": "Old"}, {"image": self.upload("old.jpg", seed=1)})
        return self.save(model, {"title": "New"}, {"image": self.upload("new.jpg", seed=2)}, old)

    def work(self):
        """Do what workers do."""
        self.uploads += save_pending_uploads()


def columns(instance):
    """Return what is in an instance's row, except for its key."""
    found = {}
    for column in instance._meta.concrete_fields:
        if not column.primary_key and not column.is_relation:
            value = getattr(instance, column.attname)
            found[column.name] = value.name if isinstance(column, FileField) else value
    return found


def files_in(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def new(in_memory):
    """The data and the files of a form with another title and another image."""
    return {"title": "New"}, {"image": in_memory("new.jpg")}


@pytest.fixture
def both_ways(settings, tmp_path, in_memory):
    """
    Do a case with plain Django and with the mixin; return both results.

    A storage adds random characters to a name that is taken, so cases use different names.
    """

    def do(case, *models):
        results = []
        for name, form_class in [("plain", forms.ModelForm), ("async", AsyncImageModelForm)]:
            settings.MEDIA_ROOT = tmp_path / name
            cache.clear()  # Some libraries note their stored files there.

            def upload(name="dune.jpg", width=64, height=48, seed=0):
                return in_memory(name, pictures.jpeg(width, height, seed))

            way = Way(name, form_class, upload)
            case(way)
            stored = [columns(one) for model in models for one in model.objects.order_by("pk")]
            results.append(Stored(files_in(settings.MEDIA_ROOT), stored, way.uploads))
            for model in models:
                model.objects.all().delete()
        return results

    return do


@pytest.fixture
def alike(both_ways):
    """Do a case both ways; check that the results are equal, and return ours."""

    def do(case, *models):
        plain, ours = both_ways(case, *models)
        assert ours == plain
        return ours

    return do


@pytest.fixture(scope="session")
def server():
    """A server for S3 that keeps everything in memory; returns its address."""
    libraries.need("django-storages", "moto")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(server, settings):
    """The bucket, empty."""
    import boto3

    from .models.s3 import BUCKET

    (settings.DATA / "s3").write_text(server)
    client = boto3.resource(
        "s3",
        endpoint_url=server,
        aws_access_key_id="nobody",
        aws_secret_access_key="nothing",
        region_name="us-east-1",
    )
    bucket = client.Bucket(BUCKET)
    bucket.create()
    yield bucket
    bucket.objects.delete()
    client.meta.client.close()
