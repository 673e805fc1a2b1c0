"""What every test may use: real images, uploads as a browser sends them, media of its own."""

import pytest
from django.core.files.uploadedfile import InMemoryUploadedFile, TemporaryUploadedFile

from tests import pictures

#: Fixtures that start real workers.
pytest_plugins = ["tests.worker"]


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    """A MEDIA_ROOT of the test's own; returns its path."""
    settings.MEDIA_ROOT = tmp_path / "media"
    return settings.MEDIA_ROOT


@pytest.fixture
def location(settings, tmp_path):
    """The folder of a StagingFileSystemStorage, which the settings name."""
    settings.STORAGES = {
        **settings.STORAGES,
        "async_forms": {
            "BACKEND": "django_async_forms.storage.StagingFileSystemStorage",
            "OPTIONS": {"location": tmp_path / "staging"},
        },
    }
    return tmp_path / "staging"


@pytest.fixture(params=["database", "files"])
def staging(request):
    """Run the test once with each staging storage; the value is its name."""
    if request.param == "files":
        request.getfixturevalue("location")
    return request.param


@pytest.fixture
def in_memory():
    """Makes what Django makes of a small upload."""

    def make(name="dune.jpg", data=None, field_name=None):
        data = pictures.jpeg() if data is None else data
        return InMemoryUploadedFile(
            pictures.as_file(data), field_name, name, "image/jpeg", len(data), None, {}
        )

    return make


@pytest.fixture
def on_disk(settings, tmp_path):
    """Makes what Django makes of a large upload."""
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
