"""The tests of a project that uses Django's InMemoryStorage as the final storage."""

import pytest

from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.both import async_form
from tests.project.models import Measured, Photo

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def final_storage(use_final_storage, staging):
    use_final_storage("django.core.files.storage.InMemoryStorage")


@pytest.mark.parametrize("kind", ["in_memory", "on_disk"])
def test_a_pending_image_is_attached_in_memory(kind, request, media):
    data = pictures.jpeg()
    upload = request.getfixturevalue(kind)("dune.jpg", data)
    photo = async_form(Photo, {"title": "Dune"}, {"image": upload}).save()

    save_pending_uploads()

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data
    assert not media.exists()


def test_the_dimensions_of_an_image_in_memory_are_attached(in_memory):
    image = in_memory(data=pictures.jpeg(12, 10))
    measured = async_form(Measured, {"title": "Dune"}, {"image": image}).save()

    save_pending_uploads()

    measured.refresh_from_db()
    assert (measured.width, measured.height) == (12, 10)
