"""Rows that all managers of a model hide: their images are saved as well."""

import pytest

from django_async_forms.models import Upload, has_upload
from django_async_forms.signals import image_saved
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from tests import pictures
from tests.situations.forms import async_form, async_saved, bytes_of, loaded, uploads_for
from tests.situations.models import Hidden
from tests.worker import staged_files

pytestmark = pytest.mark.django_db


@pytest.fixture
def hidden(in_memory):
    """A row with a pending image that no manager finds."""
    return async_form(Hidden, {"title": "hidden"}, {"image": in_memory()}).save()


def test_the_row_of_these_tests_is_hidden(hidden):
    assert not Hidden.objects.exists()
    assert not Hidden._base_manager.exists()


def test_the_image_of_a_hidden_row_is_attached(image):
    hidden = async_saved(Hidden, {"title": "hidden"}, {"image": image})

    assert bytes_of(hidden) == image.data


def test_the_image_of_a_row_that_is_hidden_while_it_is_pending_is_attached(image):
    hidden = async_form(Hidden, {"title": "visible"}, {"image": image}).save()
    Hidden.everything.update(title="hidden")

    save_pending_uploads()

    assert (loaded(hidden).title, bytes_of(hidden)) == ("hidden", image.data)


def test_the_image_that_replaces_that_of_a_hidden_row_is_attached(in_memory, image):
    hidden = Hidden.everything.create(title="hidden", image=in_memory("old.jpg"))
    save_image(image, hidden)

    save_pending_uploads()

    assert bytes_of(hidden) == image.data


def test_image_saved_has_the_hidden_instance(connect, hidden):
    received = []

    def receive(instance, replaced, **kwargs):
        received.append((instance.pk, replaced))

    connect(image_saved, receive)
    save_pending_uploads()

    assert received == [(hidden.pk, "")]


def test_the_image_of_a_hidden_row_is_pending(hidden):
    assert has_upload(loaded(hidden), Hidden._meta.get_field("image"))
    assert uploads_for(hidden).count() == 1


def test_a_hidden_row_with_a_pending_image_is_valid(hidden):
    loaded(hidden).full_clean()


def test_a_form_for_a_hidden_row_is_valid(hidden):
    form = async_form(Hidden, {"title": "hidden"}, instance=loaded(hidden))

    assert form.is_valid()


@pytest.mark.parametrize("delete", [lambda rows: rows[0].delete(), lambda rows: rows.delete()])
def test_deleting_a_hidden_row_discards_its_upload(delete, hidden, staging):
    delete(Hidden.everything.all())

    assert not Upload.objects.exists()
    assert not staged_files()


def test_a_newer_image_supersedes_that_of_a_hidden_row(hidden, in_memory):
    newer = pictures.jpeg()
    save_image(in_memory("newer.jpg", newer), loaded(hidden))

    assert [upload.name for upload in uploads_for(hidden)] == ["newer.jpg"]
    save_pending_uploads()
    assert bytes_of(hidden) == newer


def test_a_form_of_an_instance_of_another_manager_updates_it(image):
    visible = Hidden.everything.create(title="visible")

    hidden = async_saved(Hidden, {"title": "hidden"}, {"image": image}, Hidden.everything.get())

    assert hidden == visible
    assert (hidden.title, bytes_of(hidden)) == ("hidden", image.data)


def test_the_upload_of_a_hidden_row_that_fails_says_so_with_the_instance(hidden):
    (upload,) = uploads_for(hidden)

    assert upload.get_instance().pk == hidden.pk
