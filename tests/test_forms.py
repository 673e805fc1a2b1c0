"""A form with the mixin: what is saved at once, what is owed, and what is left alone."""

import pytest
from django import forms

from django_async_forms.forms import AsyncImageFormMixin
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.project.models import Photo

pytestmark = pytest.mark.django_db


class PhotoForm(AsyncImageFormMixin, forms.ModelForm):
    class Meta:
        model = Photo
        fields = ["title", "image"]


def test_saving_saves_the_instance_at_once_and_owes_the_image(in_memory, staging):
    form = PhotoForm({"title": "Dune"}, {"image": in_memory()})
    photo = form.save()

    assert Photo.objects.get().title == "Dune"
    assert not Photo.objects.get().image
    assert Upload.objects.for_instance(photo).pending().count() == 1


def test_the_image_is_there_once_what_is_owed_is_saved(in_memory, on_disk, staging):
    for make in (in_memory, on_disk):
        data = pictures.jpeg()
        photo = PhotoForm({"title": "Dune"}, {"image": make(data=data)}).save()

        assert save_pending_uploads() == 1
        photo = Photo.objects.get(pk=photo.pk)
        assert photo.image.name.startswith("photos/dune")
        assert pictures.stored(photo.image) == data
        assert not Upload.objects.exists()


def test_an_image_that_is_owed_is_not_asked_for_again(in_memory):
    photo = PhotoForm({"title": "Dune"}, {"image": in_memory()}).save()

    form = PhotoForm({"title": "Arrakis"}, instance=Photo.objects.get())

    assert form.is_valid()
    assert "required" not in str(form["image"])
    form.save()
    save_pending_uploads()
    photo.refresh_from_db()
    assert (photo.title, bool(photo.image)) == ("Arrakis", True)


def test_an_image_that_is_not_owed_is_asked_for():
    photo = Photo.objects.create(title="Dune")

    form = PhotoForm({"title": "Arrakis"}, instance=photo)

    assert form.errors["image"] == ["This field is required."]


def test_a_new_image_is_validated_by_its_model_field_and_one_that_stays_is_not(in_memory):
    photo = Photo.objects.create(title="Dune", image="photos/dune.jpg")
    refused = []

    def refuse(file):
        refused.append(file.name)
        raise forms.ValidationError("Not this one.")

    field = Photo._meta.get_field("image")
    field.validators.append(refuse)
    try:
        assert PhotoForm({"title": "Arrakis"}, instance=photo).is_valid()
        form = PhotoForm({"title": "Arrakis"}, {"image": in_memory("new.jpg")}, instance=photo)
        assert form.errors == {"image": ["Not this one."]}
    finally:
        field.validators.remove(refuse)
    assert set(refused) == {"new.jpg"}
