"""``save_image``: the function of 2013, for views that use no form mixin."""

import pytest
from django.core.exceptions import FieldDoesNotExist
from django.core.files.base import ContentFile
from django.db import transaction

from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from tests import pictures
from tests.project.models import Document, Elsewhere, Measured, Photo, Restaurant, Slugged

pytestmark = pytest.mark.django_db


@pytest.fixture
def photo():
    return Photo.objects.create(title="Dune")


def test_an_image_is_owed_and_then_saved(photo, in_memory, staging):
    data = pictures.jpeg()

    upload = save_image(in_memory(data=data), photo)

    assert isinstance(upload, Upload)
    assert Upload.objects.for_instance(photo, "image").get() == upload
    save_pending_uploads()
    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data
    assert not Upload.objects.exists()


def test_the_field_is_the_one_that_the_upload_names(in_memory):
    measured = Measured.objects.create(title="Dune")

    upload = save_image(in_memory(field_name="cover"), measured)

    assert upload.field_name == "cover"


def test_the_field_is_else_the_only_image_field(in_memory):
    document = Document.objects.create(title="Deed")

    upload = save_image(in_memory(field_name="form-0-picture"), document)

    assert upload.field_name == "scan"


def test_which_of_two_fields_must_be_said(in_memory):
    measured = Measured.objects.create(title="Dune")

    with pytest.raises(ValueError, match=r"image, cover.*Pass field_name"):
        save_image(in_memory(), measured)


def test_a_plain_file_field_can_be_named(in_memory):
    document = Document.objects.create(title="Deed")

    save_image(in_memory("deed.txt", b"whereas"), document, "file")
    save_pending_uploads()

    document.refresh_from_db()
    assert pictures.stored(document.file) == b"whereas"


def test_a_field_that_is_no_file_field_is_refused(photo, in_memory):
    for name in ("title", "nothing"):
        with pytest.raises(FieldDoesNotExist, match=f"{name}.*file fields: image"):
            save_image(in_memory(), photo, name)


def test_an_instance_that_is_not_saved_is_refused(in_memory):
    for instance in (Photo(title="Dune"), Slugged(slug="dune")):
        with pytest.raises(ValueError, match="Save the instance first"):
            save_image(in_memory(), instance)

    assert not Upload.objects.exists()


def test_a_file_that_the_project_made_will_do(photo):
    data = pictures.jpeg()

    save_image(ContentFile(data, "made.jpg"), photo)
    save_pending_uploads()

    photo.refresh_from_db()
    assert photo.image.name == "photos/made.jpg"
    assert pictures.stored(photo.image) == data


def test_a_file_without_a_name_is_refused_at_once(photo):
    with pytest.raises(ValueError, match="has no name"):
        save_image(ContentFile(pictures.jpeg()), photo)


@pytest.mark.django_db(databases=["default", "other"])
def test_an_upload_is_kept_where_its_instance_is_written_not_where_it_was_read(
    photo, in_memory, settings
):
    settings.DATABASE_ROUTERS = ["tests.test_save_image.Replicated"]
    photo._state.db = "other"  # As if it had been read from a replica.

    upload = save_image(in_memory(), photo)

    assert upload.using == "default"
    assert Upload.objects.for_instance(photo).get() == upload


def test_what_is_still_owed_to_the_field_is_superseded(photo, in_memory, staging):
    save_image(in_memory(), photo)
    newer = save_image(in_memory(), photo)

    assert Upload.objects.get() == newer


def test_a_rollback_leaves_nothing_owed(photo, in_memory):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        save_image(in_memory(), photo)
        raise ZeroDivisionError

    assert not Upload.objects.exists()


class Replicated:
    """A router that writes to the first database and reads from the second."""

    def db_for_read(self, model, **hints):
        return "other"

    def db_for_write(self, model, **hints):
        return "default"


def test_what_is_owed_to_an_instance_goes_with_it(in_memory):
    slugged = Slugged.objects.create(slug="dune")
    save_image(in_memory(), slugged)

    slugged.delete()

    assert not Upload.objects.exists()


def test_a_child_and_its_parent_share_what_is_owed_to_their_field(in_memory):
    restaurant = Restaurant.objects.create(name="Arrakeen")
    first = save_image(in_memory(), restaurant, "image")
    assert Upload.objects.for_instance(restaurant.place_ptr).get() == first

    second = save_image(in_memory(), restaurant.place_ptr, "image")

    assert Upload.objects.for_instance(restaurant).get() == second


@pytest.mark.django_db(databases=["default", "other"])
def test_an_upload_is_kept_in_the_database_of_its_instance(in_memory):
    elsewhere = Elsewhere.objects.create(title="Dune")

    upload = save_image(in_memory(), elsewhere)

    assert not Upload.objects.using("default").exists()
    assert Upload.objects.for_instance(elsewhere).get() == upload
    assert save_pending_uploads(using="other") == 1
    elsewhere.refresh_from_db()
    assert elsewhere.image.name == "elsewhere/dune.jpg"
