"""Fixtures for every test: real images, uploaded files, storages, receivers, and a MEDIA_ROOT."""

import gc
from contextlib import ExitStack
from functools import partial

import pytest
from django import forms
from django.apps import apps
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import InMemoryUploadedFile, TemporaryUploadedFile
from django.db.models.signals import post_save

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.storage import StagingFileSystemStorage
from django_async_forms.uploads import save_image
from tests import pictures
from tests.deliveries import Delivery

#: Fixtures that start real workers, and the option --fast.
pytest_plugins = ["tests.worker", "tests.fast"]


def pytest_collection_finish():
    """Spare the tests that collect garbage the many objects that were there before them."""
    gc.freeze()


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    """The test's own MEDIA_ROOT; returns its path."""
    settings.MEDIA_ROOT = tmp_path / "media"
    return settings.MEDIA_ROOT


@pytest.fixture
def use_storage(settings):
    """Sets a storage in STORAGES until the end of the test: its class, or the path of one."""

    def use(alias, storage, **options):
        if isinstance(storage, type):
            storage = f"{storage.__module__}.{storage.__qualname__}"
        new = {"BACKEND": storage, "OPTIONS": options}
        settings.STORAGES = {**settings.STORAGES, alias: new}

    return use


@pytest.fixture
def use_final_storage(use_storage):
    """Sets the storage of the models' fields: ``use_final_storage(MyStorage, **options)``."""
    return partial(use_storage, "default")


@pytest.fixture
def use_staging_storage(use_storage):
    """Sets the staging storage: ``use_staging_storage(MyStorage, **options)``."""
    return partial(use_storage, "async_forms")


@pytest.fixture
def location(use_staging_storage, tmp_path):
    """The folder of a StagingFileSystemStorage, which the settings name."""
    use_staging_storage(StagingFileSystemStorage, location=tmp_path / "staging")
    return tmp_path / "staging"


@pytest.fixture
def staging_is_a_file(location):
    """A staging storage that fails, because its folder is a file; returns the path."""
    location.touch()
    return location


@pytest.fixture(params=["database", "files"])
def staging(request):
    """Runs the test once with each staging storage; returns its name."""
    if request.param == "files":
        request.getfixturevalue("location")
    return request.param


@pytest.fixture
def publish_by(settings, monkeypatch):
    """Sets what publishes an upload in place of a broker: ``publish_by(uploads.append)``."""

    def use(publish):
        monkeypatch.setattr(Delivery, "publish", staticmethod(publish))
        path = f"{Delivery.__module__}.{Delivery.__qualname__}"
        settings.ASYNC_FORMS = {**settings.ASYNC_FORMS, "DELIVERY": path}

    return use


@pytest.fixture
def connect():
    """Connects a receiver until the end of the test: ``connect(signal, receiver, sender)``."""
    with ExitStack() as stack:

        def connect(signal, receiver, sender=None):
            signal.connect(receiver, sender=sender)
            stack.callback(signal.disconnect, receiver, sender=sender)

        yield connect


@pytest.fixture
def no_receivers(monkeypatch):
    """Disconnects the receivers of the libraries in the test project, which most projects lack."""
    monkeypatch.setattr(post_save, "receivers", [])
    post_save.sender_receivers_cache.clear()
    yield
    post_save.sender_receivers_cache.clear()


@pytest.fixture
def photo():
    """A photo without an image."""
    return _photo_model().objects.create(title="Dune")


@pytest.fixture
def old(in_memory):
    """A photo with an image."""
    return _photo_model().objects.create(title="Old", image=in_memory("old.jpg"))


@pytest.fixture
def new_upload(in_memory):
    """Makes a photo with a pending image, and returns the upload."""

    def make(title="Dune", **kwargs):
        return save_image(in_memory(**kwargs), _photo_model().objects.create(title=title))

    return make


def _photo_model():
    return apps.get_model("project.Photo")  # Not imported: some tests run in another project.


@pytest.fixture
def in_memory():
    """Makes the uploaded file that Django makes of a small upload."""

    def make(name="dune.jpg", data=None, field_name=None):
        data = pictures.jpeg() if data is None else data
        return InMemoryUploadedFile(
            pictures.as_file(data), field_name, name, "image/jpeg", len(data), None, {}
        )

    return make


@pytest.fixture
def on_disk(settings, tmp_path):
    """Makes the uploaded file that Django makes of a large upload."""
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    made = []

    def make(name="dune.jpg", data=None):
        data = pictures.jpeg() if data is None else data
        uploaded = TemporaryUploadedFile(name, "image/jpeg", len(data), None, {})
        uploaded.write(data)
        uploaded.flush()
        uploaded.seek(0)
        made.append(uploaded)
        return uploaded

    yield make
    for uploaded in made:
        uploaded.close()


@pytest.fixture
def without_url(monkeypatch):
    """A storage that has no URL for files with "private" in their name."""
    url = FileSystemStorage.url

    def url_or_error(self, name):
        if "private" in name:
            raise ValueError("This file is not accessible via a URL.")
        return url(self, name)

    monkeypatch.setattr(FileSystemStorage, "url", url_or_error)


@pytest.fixture(params=[forms.ModelForm, AsyncImageModelForm], ids=["plain", "async"])
def base(request):
    """Runs the test with Django's own form, which defines the right result, and with ours."""
    return request.param


@pytest.fixture
def limits(settings):
    """Sets keys of ASYNC_FORMS: ``limits(MAX_BYTES=1000)``."""

    def set_limits(**keys):
        settings.ASYNC_FORMS = keys

    return set_limits
