"""``async_images()``: code that is neither a form nor a serializer has a worker save its images."""

import pytest
from django.core.exceptions import FieldDoesNotExist

from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import async_images
from tests import pictures
from tests.both import roll_back
from tests.project.models import Bronze, Document, Measured, Photo, Statue

pytestmark = pytest.mark.django_db


def test_an_instance_that_is_created_in_the_block_is_saved_without_its_image(in_memory, staging):
    data = pictures.jpeg()
    with async_images(Photo):
        photo = Photo.objects.create(title="Dune", image=in_memory(data=data))

    photo.refresh_from_db()
    assert (photo.title, photo.image.name) == ("Dune", "")
    save_pending_uploads()
    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data


def test_an_instance_that_is_changed_in_the_block_keeps_its_old_image(old, in_memory):
    before = old.image.name
    with async_images(Photo):
        old.title = "New"
        old.image = in_memory("new.jpg")
        old.save()

    assert old.image.name == before
    save_pending_uploads()
    old.refresh_from_db()
    assert (old.title, old.image.name) == ("New", "photos/new.jpg")


def test_an_instance_without_a_new_image_is_saved_as_ever(old):
    with async_images(Photo):
        old.title = "New"
        old.save()

    assert Photo.objects.get().title == "New"
    assert not Upload.objects.exists()


def test_an_image_that_the_block_clears_is_gone_at_once(old):
    with async_images(Photo):
        old.image = ""
        old.save()

    assert Photo.objects.get().image.name == ""


def test_other_models_are_saved_in_the_request(in_memory):
    with async_images(Document):
        photo = Photo.objects.create(title="Dune", image=in_memory())

    assert photo.image.name == "photos/dune.jpg"


def test_blocks_in_each_other_are_for_the_models_of_both(in_memory):
    with async_images(Photo), async_images(Measured):
        Photo.objects.create(title="Dune", image=in_memory())
        Measured.objects.create(title="Reef", image=in_memory())

    assert Upload.objects.count() == 2


def test_the_block_is_for_the_children_of_a_model(in_memory):
    with async_images(Statue):
        Bronze.objects.create(image=in_memory())

    assert Upload.objects.count() == 1


def test_only_the_named_fields_are_saved_by_a_worker(in_memory):
    with async_images(Measured, fields=["image"]):
        measured = Measured.objects.create(image=in_memory("one.jpg"), cover=in_memory("two.jpg"))

    assert Upload.objects.get().field_name == "image"
    assert measured.cover.name == "covers/two.jpg"


def test_an_image_is_saved_in_the_request_after_the_block(in_memory):
    with async_images(Photo):
        photo = Photo.objects.create(title="Dune", image=in_memory())
    photo.image = in_memory("second.jpg")
    photo.save()

    assert photo.image.name == "photos/second.jpg"


def test_a_rollback_takes_the_upload_with_it(in_memory):
    def create():
        with async_images(Photo):
            Photo.objects.create(title="Dune", image=in_memory())

    roll_back(create)

    assert not Upload.objects.exists()


def test_with_only_replaces_the_image_of_a_new_instance_is_saved_at_once(in_memory, old):
    with async_images(Photo, only_replaces=True):
        photo = Photo.objects.create(title="Dune", image=in_memory())
        old.image = in_memory("new.jpg")
        old.save()

    assert photo.image.name == "photos/dune.jpg"
    assert Upload.objects.get().object_pk == str(old.pk)


def test_a_block_without_a_model_is_an_error():
    with pytest.raises(TypeError, match="needs the models"), async_images():
        pass


def test_a_field_that_no_model_has_is_an_error():
    block = async_images(Photo, fields=["picture"])

    with pytest.raises(FieldDoesNotExist, match="no file field 'picture'"), block:
        pass
