"""
An update form whose instance was deleted meanwhile inserts it again, with its image.

Each test also runs with Django's own form, which defines the right result.
"""

import pytest
from django.core.files.base import ContentFile
from django.db import DatabaseError, transaction
from django.forms import modelformset_factory

from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.project.models import Keyed, Measured, OnlyImages, Photo, Place, Restaurant, Slugged
from tests.situations.forms import async_form, both, bytes_of, form_for, loaded, uploads_for
from tests.situations.models import TwoImages, Validated

pytestmark = pytest.mark.django_db


def delete(instance):
    """Delete the row as another request does, so that the instance does not notice."""
    type(instance).objects.get(pk=instance.pk).delete()


@both
def test_a_deleted_instance_is_inserted_again_with_its_new_image(base, old, in_memory, staging):
    data = pictures.jpeg()
    form = form_for(base, Photo, {"title": "New"}, {"image": in_memory(data=data)}, old)
    delete(old)

    form.save()
    save_pending_uploads()

    photo = Photo.objects.get()
    assert (photo.pk, photo.title, bytes_of(photo)) == (old.pk, "New", data)


@both
def test_a_deleted_instance_is_inserted_again_without_a_new_image(base, old):
    name = old.image.name
    form = form_for(base, Photo, {"title": "New"}, instance=old)
    delete(old)

    form.save()

    photo = Photo.objects.get()
    assert (photo.title, photo.image.name) == ("New", name)


@both
def test_a_deleted_instance_is_inserted_again_and_cleared(base, in_memory):
    place = Place.objects.create(name="Old", image=in_memory())
    form = form_for(base, Place, {"name": "New", "image": ""}, instance=place)
    form = type(form)({"name": "New", "image-clear": "on"}, {}, instance=place)
    delete(place)

    form.save()

    assert not Place.objects.get().image


@both
def test_a_deleted_instance_is_inserted_again_in_commit_false(base, old, in_memory):
    data = pictures.jpeg()
    form = form_for(base, Photo, {"title": "New"}, {"image": in_memory(data=data)}, old)
    photo = form.save(commit=False)
    delete(old)

    photo.save()
    save_pending_uploads()

    assert bytes_of(Photo.objects.get()) == data


@both
@pytest.mark.parametrize("field_name", ["front", "back"])
def test_a_row_of_nothing_but_images_is_inserted_again(base, field_name, in_memory):
    data = pictures.jpeg()
    only = OnlyImages.objects.create(front=in_memory("old.jpg"))
    form = form_for(base, OnlyImages, {}, {field_name: in_memory(data=data)}, only)
    delete(only)

    form.save()
    save_pending_uploads()

    assert bytes_of(OnlyImages.objects.get(), field_name) == data


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
@pytest.mark.parametrize("table", ["image", "menu"])
def test_a_child_is_inserted_again_with_an_image_of_each_table(base, table, in_memory):
    data = pictures.jpeg()
    restaurant = Restaurant.objects.create(name="Old")
    form = form_for(base, Restaurant, {"name": "New"}, {table: in_memory(data=data)}, restaurant)
    delete(restaurant)

    form.save()
    save_pending_uploads()

    restaurant = Restaurant.objects.get()
    assert (restaurant.name, bytes_of(restaurant, table)) == ("New", data)


@both
def test_a_child_whose_own_row_alone_is_gone_is_inserted_again(base, in_memory):
    data = pictures.jpeg()
    restaurant = Restaurant.objects.create(name="Old")
    form = form_for(base, Restaurant, {"name": "New"}, {"menu": in_memory(data=data)}, restaurant)
    Restaurant.objects.get().delete(keep_parents=True)

    form.save()
    save_pending_uploads()

    assert bytes_of(Restaurant.objects.get(), "menu") == data


@both
@pytest.mark.parametrize("model", [Keyed, Slugged])
def test_a_deleted_instance_is_inserted_again_under_any_kind_of_key(base, model, in_memory):
    data = pictures.jpeg()
    instance = model.objects.create(**({"slug": "a"} if model is Slugged else {}))
    form = form_for(base, model, {}, {"image": in_memory(data=data)}, instance)
    delete(instance)

    form.save()
    save_pending_uploads()

    assert bytes_of(model.objects.get(pk=instance.pk)) == data


@both
def test_a_model_that_validates_itself_is_inserted_again(base, in_memory):
    data = pictures.jpeg()
    entry = Validated.objects.create(title="Old", image=in_memory())
    form = form_for(base, Validated, {"title": "New"}, {"image": in_memory(data=data)}, entry)
    delete(entry)

    form.save()
    save_pending_uploads()

    assert bytes_of(Validated.objects.get()) == data


@both
def test_a_row_of_a_formset_is_inserted_again(base, old, in_memory):
    data = pictures.jpeg()
    factory = modelformset_factory(Photo, form=base, fields=["title", "image"], extra=0)
    values = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": old.pk}
    formset = factory({**values, "form-0-title": "New"}, {"form-0-image": in_memory(data=data)})
    assert formset.is_valid(), formset.errors
    delete(old)

    formset.save()
    save_pending_uploads()

    assert bytes_of(Photo.objects.get()) == data


@both
def test_a_save_of_some_fields_of_a_deleted_instance_raises(base, old, in_memory):
    form = form_for(base, Photo, {"title": "New"}, {"image": in_memory()}, old)
    photo = form.save(commit=False)
    delete(old)

    with pytest.raises(DatabaseError), transaction.atomic():
        photo.save(update_fields=["title", "image"])
    assert not Photo.objects.exists()
    assert not Upload.objects.exists()


@both
def test_a_forced_update_of_a_deleted_instance_raises(base, old, in_memory):
    form = form_for(base, Photo, {"title": "New"}, {"image": in_memory()}, old)
    photo = form.save(commit=False)
    delete(old)

    with pytest.raises(DatabaseError), transaction.atomic():
        photo.save(force_update=True)
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


def test_an_instance_that_is_deleted_and_saved_again_by_its_holder_is_inserted(old, in_memory):
    photo = async_form(Photo, {"title": "New"}, {"image": in_memory()}, old).save()
    delete(old)

    photo.save()

    photo = Photo.objects.get()
    assert photo.image.name == old.image.name
    assert not Upload.objects.exists()
