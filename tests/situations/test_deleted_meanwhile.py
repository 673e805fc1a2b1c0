"""
An update form whose instance was deleted meanwhile inserts it again, with its image.

Each test also runs with Django's own form, which defines the right result.
"""

import pytest
from django.core.files.base import ContentFile
from django.db import DatabaseError, transaction

from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.project.models import (
    Keyed,
    Measured,
    OnlyImages,
    Photo,
    Place,
    Restaurant,
    Shelved,
    Slugged,
)
from tests.situations.forms import (
    async_form,
    both,
    bytes_of,
    form_for,
    formset_for,
    loaded,
    uploads_for,
)
from tests.situations.models import TwoImages, Validated
from tests.situations.own_code import Counted

pytestmark = pytest.mark.django_db


def delete(instance):
    """Delete the row as another request does, so that the instance does not notice."""
    type(instance).objects.get(pk=instance.pk).delete()


@both
def test_a_deleted_instance_is_inserted_again_with_its_new_image(base, old, image, staging):
    form = form_for(base, Photo, {"title": "New"}, {"image": image}, old)
    delete(old)

    form.save()
    save_pending_uploads()

    photo = Photo.objects.get()
    assert (photo.pk, photo.title, bytes_of(photo)) == (old.pk, "New", image.data)


@both
def test_a_deleted_instance_is_inserted_again_without_a_new_image(base, old):
    name = old.image.name
    form = form_for(base, Photo, {"title": "New"}, instance=old)
    delete(old)

    form.save()

    photo = Photo.objects.get()
    assert (photo.title, photo.image.name) == ("New", name)


@both
def test_a_deleted_instance_is_inserted_again_and_cleared(base, image):
    place = Place.objects.create(name="Old", image=image)
    clear = {"name": "New", "image-clear": "on"}
    form = form_for(base, Place, clear, {}, place, ["name", "image"])
    delete(place)

    form.save()

    assert not Place.objects.get().image


@both
def test_a_deleted_instance_is_inserted_again_in_commit_false(base, old, image):
    form = form_for(base, Photo, {"title": "New"}, {"image": image}, old)
    photo = form.save(commit=False)
    delete(old)

    photo.save()
    save_pending_uploads()

    assert bytes_of(Photo.objects.get()) == image.data


@both
def test_a_deleted_instance_is_inserted_again_with_its_dimensions(base, in_memory):
    image, cover = pictures.jpeg(30, 20), pictures.jpeg(50, 40)
    measured = Measured.objects.create(
        title="Old", image=in_memory(data=image), cover=in_memory(data=cover)
    )
    files = {"image": in_memory(data=pictures.jpeg(70, 60))}
    form = form_for(base, Measured, {"title": "New"}, files, measured)
    delete(measured)

    form.save()
    save_pending_uploads()

    measured = Measured.objects.get()
    assert (measured.width, measured.height) == (70, 60)
    assert (measured.cover_width, measured.cover_height) == (50, 40)


@both
def test_a_child_whose_own_row_alone_is_gone_is_inserted_again(base, image):
    restaurant = Restaurant.objects.create(name="Old")
    form = form_for(base, Restaurant, {"name": "New"}, {"menu": image}, restaurant)
    Restaurant.objects.get().delete(keep_parents=True)

    form.save()
    save_pending_uploads()

    assert bytes_of(restaurant, "menu") == image.data


#: Kinds of rows: how one is made, the values of its form, and the field of the form's image.
KINDS = {
    "of images only": (lambda old: OnlyImages.objects.create(front=old), {}, "front"),
    "with a second image": (lambda old: OnlyImages.objects.create(front=old), {}, "back"),
    "with its parent's image": (lambda old: Restaurant.objects.create(), {"name": "x"}, "image"),
    "with a child's image": (lambda old: Restaurant.objects.create(), {"name": "x"}, "menu"),
    "with a UUID": (lambda old: Keyed.objects.create(), {}, "image"),
    "with a chosen key": (lambda old: Slugged.objects.create(slug="a"), {}, "image"),
    "with two keys": (lambda old: Shelved.objects.create(shelf="a", position=1), {}, "image"),
    "with a generated column": (lambda old: Counted.objects.create(), {}, "image"),
    "that validates itself": (
        lambda old: Validated.objects.create(title="Old", image=old),
        {"title": "New"},
        "image",
    ),
}


@both
@pytest.mark.parametrize(("make", "data", "field_name"), KINDS.values(), ids=KINDS)
def test_a_deleted_row_of_this_kind_is_inserted_again(
    make, data, field_name, base, in_memory, image
):
    instance = loaded(make(in_memory("old.jpg")))
    form = form_for(base, type(instance), data, {field_name: image}, instance)
    delete(instance)

    form.save()
    save_pending_uploads()

    assert bytes_of(instance, field_name) == image.data
    assert [getattr(loaded(instance), name) for name in data] == [*data.values()]


@both
def test_a_row_of_a_formset_is_inserted_again(base, old, image):
    formset = formset_for(base, Photo, {"id": old.pk, "title": "New", "image": image})
    delete(old)

    formset.save()
    save_pending_uploads()

    assert bytes_of(Photo.objects.get()) == image.data


@both
@pytest.mark.parametrize("how", [{"update_fields": ["title", "image"]}, {"force_update": True}])
def test_an_update_of_a_deleted_instance_that_may_not_insert_raises(how, base, old, image):
    photo = form_for(base, Photo, {"title": "New"}, {"image": image}, old).save(commit=False)
    delete(old)

    with pytest.raises(DatabaseError), transaction.atomic():
        photo.save(**how)
    assert not Photo.objects.exists()
    assert not Upload.objects.exists()


def test_deleting_an_instance_discards_its_earlier_upload(old, in_memory):
    newer = pictures.jpeg()
    async_form(Photo, {"title": "Old"}, {"image": in_memory()}, loaded(old)).save()
    files = {"image": in_memory("newer.jpg", newer)}
    form = async_form(Photo, {"title": "New"}, files, loaded(old))
    delete(old)

    form.save()

    assert [upload.name for upload in uploads_for(old)] == ["newer.jpg"]
    save_pending_uploads()
    assert bytes_of(old) == newer


def test_one_of_two_images_of_a_row_that_is_gone_is_as_the_holder_has_it(in_memory):
    data, cover = pictures.jpeg(), pictures.jpeg()
    two = TwoImages.objects.create(title="x", cover=ContentFile(cover, "cover.jpg"))
    form = async_form(TwoImages, {"title": "y"}, {"image": in_memory(data=data)}, loaded(two))
    TwoImages.objects.all().delete()

    form.save()
    save_pending_uploads()

    assert (bytes_of(two), bytes_of(two, "cover")) == (data, cover)


def test_an_instance_that_is_deleted_and_saved_again_by_its_holder_is_inserted(old, image):
    photo = async_form(Photo, {"title": "New"}, {"image": image}, old).save()
    delete(old)

    photo.save()

    photo = Photo.objects.get()
    assert photo.image.name == old.image.name
    assert not Upload.objects.exists()
