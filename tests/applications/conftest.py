"""Fixtures for the cases of all applications."""

import pytest
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import SimpleUploadedFile

from django_async_forms.models import Upload
from django_async_forms.tasks import save_image_task
from tests import pictures

#: Runs a case with one real worker: no application depends on the broker or the staging storage.
with_worker = pytest.mark.parametrize(
    ("broker_name", "staging"), [("filesystem", "database")], indirect=True, ids=["worker"]
)


@pytest.fixture
def jpeg():
    """Makes an uploaded image, which is twice as wide as high unless its bytes are given."""

    def make(name="new.jpg", data=None):
        return SimpleUploadedFile(name, data or pictures.jpeg(80, 40), "image/jpeg")

    return make


@pytest.fixture
def files(settings):
    """Returns the names of all stored files."""

    def names():
        folder = settings.MEDIA_ROOT
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    return names


@pytest.fixture
def fail(settings, monkeypatch):
    """Makes the only attempt at each pending upload fail in the final storage."""

    def fail():
        settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
        with monkeypatch.context() as broken:
            broken.setattr(FileSystemStorage, "_save", _refuse)
            for upload in Upload.objects.all():
                save_image_task.apply(args=[str(upload.pk), "default"])

    return fail


def _refuse(self, name, content):
    raise OSError("No space left on device")
