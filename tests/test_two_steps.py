"""
Everything that a view does between form.save(commit=False) and save() ends as in plain Django.

Each test runs with Django's own form, which defines the right result, and with ours.
"""

import copy

import pytest
from django.core.files.base import ContentFile
from django.db import transaction

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.both import async_form, form_for, names
from tests.project.models import Measured, OnlyImages, Photo, Retouched, Shrunk, Slugged

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["new", "old"])
def photo(request):
    """The instance of the form: None, or one with an image."""
    return None if request.param == "new" else request.getfixturevalue("old")


def photo_form(base, photo, image):
    return form_for(base, Photo, {"title": "Dune"}, {"image": image}, photo)


def test_a_view_can_look_at_the_image(base, photo, in_memory):
    data = pictures.jpeg()

    photo = photo_form(base, photo, in_memory(data=data)).save(commit=False)

    assert photo.image.name == "dune.jpg"
    assert photo.image.read() == data


def test_a_view_can_look_at_the_dimensions_of_the_image(base, in_memory):
    files = {"image": in_memory(data=pictures.jpeg(12, 10))}

    measured = form_for(base, Measured, {"title": "Dune"}, files).save(commit=False)

    assert (measured.width, measured.height) == (12, 10)


def test_a_view_can_put_another_image_in_its_place(base, photo, in_memory):
    other = pictures.jpeg()

    photo = photo_form(base, photo, in_memory()).save(commit=False)
    photo.image = ContentFile(other, name="other.jpg")
    photo.save()
    save_pending_uploads()

    photo.refresh_from_db()
    assert photo.image.name == "photos/other.jpg"
    assert pictures.stored(photo.image) == other


def test_a_view_can_rename_the_image(base, photo, in_memory):
    data = pictures.jpeg()

    photo = photo_form(base, photo, in_memory(data=data)).save(commit=False)
    photo.image.name = "renamed.jpg"
    photo.save()
    save_pending_uploads()

    photo.refresh_from_db()
    assert photo.image.name == "photos/renamed.jpg"
    assert pictures.stored(photo.image) == data


def test_a_view_can_save_the_image_itself(base, photo, in_memory):
    form = photo_form(base, photo, in_memory())
    photo = form.save(commit=False)
    photo.image.save("own.jpg", form.cleaned_data["image"], save=False)
    photo.save()
    save_pending_uploads()

    assert names() == ["photos/own.jpg"]


def test_a_view_can_drop_the_image(base, in_memory):
    images = form_for(base, OnlyImages, {}, {"front": in_memory()}).save(commit=False)
    images.front = None
    images.save()
    save_pending_uploads()

    assert not OnlyImages.objects.get().front


def test_instances_created_in_bulk_have_their_images(base, in_memory):
    photos = [
        form_for(base, Photo, {"title": "Dune"}, {"image": in_memory(name)}).save(commit=False)
        for name in ("0.jpg", "1.jpg")
    ]
    Photo.objects.bulk_create(photos)
    save_pending_uploads()

    assert names() == ["photos/0.jpg", "photos/1.jpg"]


def test_a_view_can_save_the_instance_as_a_new_one(base, old, in_memory):
    photo = photo_form(base, old, in_memory()).save(commit=False)
    photo.pk = None
    photo.save()
    save_pending_uploads()

    assert names() == ["photos/dune.jpg", "photos/old.jpg"]


def test_a_new_instance_made_of_an_old_one_has_its_image(base, old):
    photo = form_for(base, Photo, {"title": "Dune"}, instance=old).save(commit=False)
    photo.pk = None
    photo._state.adding = True
    photo.save()

    assert names() == ["photos/old.jpg"] * 2


def test_a_new_instance_made_of_an_old_one_before_the_form_has_its_image(base, old):
    old.pk = None
    form_for(base, Photo, {"title": "Dune"}, instance=old).save()

    assert names() == ["photos/old.jpg"] * 2


def test_a_copy_of_the_instance_has_the_image(base, in_memory):
    photo = photo_form(base, None, in_memory()).save(commit=False)
    copy.copy(photo).save()
    save_pending_uploads()

    assert names() == ["photos/dune.jpg"]


@pytest.mark.parametrize("sends", [True, False], ids=["with an image", "without"])
def test_another_key_in_the_form_makes_another_instance(base, sends, in_memory):
    slugged = Slugged.objects.create(slug="a", image=in_memory("old.jpg"))
    files = {"image": in_memory("new.jpg")} if sends else {}
    form_for(base, Slugged, {"slug": "b"}, files, slugged).save()
    save_pending_uploads()

    assert {slugged.slug: slugged.image.name for slugged in Slugged.objects.all()} == {
        "a": "slugged/old.jpg",
        "b": "slugged/new.jpg" if sends else "slugged/old.jpg",
    }


def test_two_forms_can_fill_one_instance(base, in_memory):
    images = form_for(base, OnlyImages, {}, {"front": in_memory("front.jpg")}).save(commit=False)
    form_for(base, OnlyImages, {}, {"back": in_memory("back.jpg")}, images).save(commit=False)
    images.save()
    save_pending_uploads()

    images.refresh_from_db()
    assert (images.front.name, images.back.name) == ("only/front.jpg", "only/back.jpg")


# Our form only


def test_another_image_that_a_view_assigns_is_saved_by_the_worker(in_memory, media):
    photo = photo_form(AsyncImageModelForm, None, in_memory()).save(commit=False)
    photo.image = in_memory("other.jpg")
    photo.save()

    assert Upload.objects.get().name == "other.jpg"
    assert not media.exists()


def test_an_overridden_save_does_its_work_only_in_the_worker(in_memory, media):
    form = async_form(Shrunk, {}, {"image": in_memory(data=pictures.jpeg(99))})
    form.save(commit=False).save()
    assert not media.exists()

    save_pending_uploads()
    assert Shrunk.objects.get().image.width == 64


def test_an_instance_and_its_image_are_saved_together_or_not_at_all(in_memory, staging_is_a_file):
    form = photo_form(AsyncImageModelForm, None, in_memory())

    with pytest.raises(OSError, match="staging"), transaction.atomic():
        form.save(commit=False).save()

    assert not Photo.objects.exists()


def test_a_new_instance_whose_image_is_not_staged_has_no_key_that_another_may_get(
    in_memory, staging_is_a_file
):
    form = async_form(Photo, {"title": "Dune"}, {"image": in_memory()})
    with pytest.raises(OSError, match="staging"), transaction.atomic():
        form.save()
    assert form.instance.pk is None

    other = Photo.objects.create(title="Reef")
    staging_is_a_file.unlink()
    form.save()

    assert Photo.objects.get(pk=other.pk).title == "Reef"


def test_a_proxy_is_saved_in_two_steps(in_memory):
    form = async_form(Retouched, {"title": "Dune"}, {"image": in_memory()})
    form.save(commit=False).save()

    assert Upload.objects.get().name == "retouched-Dune.jpg"
