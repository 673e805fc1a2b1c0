"""A project's own code in models and admins works as without the package."""

import io
from pathlib import Path
from unittest import mock

import pytest
from django import forms
from django.contrib import admin
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Model
from django.forms import modelform_factory

from django_async_forms.admin import AsyncImageAdminMixin
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.project.models import Photo, Place, Shelved
from tests.situations.forms import (
    ReplacingForm,
    async_form,
    both,
    bytes_of,
    form_for,
    loaded,
    uploads_for,
)
from tests.situations.own_code import (
    CleanedByKeyword,
    Counted,
    DefaultOfDatabase,
    NamedByKey,
    OnlyOneMain,
    Pictured,
    PicturedProxy,
    Prefixed,
    Returning,
    StampedChild,
    WritesWhatChanged,
)

pytestmark = pytest.mark.django_db


# Methods that come later in the order of bases


@both
def test_a_save_of_a_base_after_the_one_with_the_image_runs(base, in_memory):
    data = pictures.jpeg()
    child = form_for(base, StampedChild, {"title": "x"}, {"image": in_memory(data=data)}).save()
    save_pending_uploads()

    assert (loaded(child).stamp, bytes_of(child)) == ("set in save()", data)


def test_a_save_of_a_base_after_the_one_with_the_image_runs_without_any_form():
    assert StampedChild.objects.create(title="x").stamp == "set in save()"


def test_methods_of_a_base_after_the_model_of_a_proxy_run():
    proxy = PicturedProxy(title="x")
    proxy.clean_fields()
    proxy.save()

    assert Pictured.objects.get().title == "x cleaned saved"


@pytest.mark.parametrize("name", ["save", "clean_fields"])
def test_a_method_of_every_model_that_is_replaced_later_is_called(name):
    original = getattr(Model, name)
    with mock.patch.object(Model, name, autospec=True, side_effect=original) as replaced:
        photo = Photo(title="x", image="x.jpg")
        photo.clean_fields()
        photo.save()

    assert replaced.call_count == 1


def test_clean_fields_gets_its_argument_by_name_as_from_django():
    CleanedByKeyword(title="x").full_clean()


@both
def test_an_overridden_save_returns_its_value(base, in_memory):
    instance = form_for(base, Returning, {"title": "x"}, {"image": in_memory()}).save(commit=False)

    assert instance.save() is instance


# Rows


@both
def test_a_row_of_an_image_and_a_key_of_two_columns_is_inserted_again(base, in_memory):
    data = pictures.jpeg()
    shelved = Shelved.objects.create(shelf="a", position=1)
    form = form_for(base, Shelved, {}, {"image": in_memory(data=data)}, shelved)
    Shelved.objects.all().delete()

    form.save()
    save_pending_uploads()

    assert bytes_of(Shelved.objects.get()) == data


@both
def test_a_row_of_an_image_and_a_generated_column_is_inserted_again(base, in_memory):
    data = pictures.jpeg()
    counted = Counted.objects.create()
    form = form_for(base, Counted, {}, {"image": in_memory(data=data)}, loaded(counted))
    Counted.objects.all().delete()

    form.save()
    save_pending_uploads()

    assert bytes_of(Counted.objects.get()) == data


def test_a_default_of_the_database_stays_until_the_image_is_attached(in_memory):
    data = pictures.jpeg()
    files = {"image": in_memory(data=data)}
    instance = async_form(DefaultOfDatabase, {"title": "x"}, files).save()
    assert loaded(instance).image.name in ("", "placeholder.png")

    save_pending_uploads()

    assert bytes_of(instance) == data


@both
def test_a_field_whose_column_is_not_its_name_gets_another_image(base, in_memory, monkeypatch):
    new = pictures.jpeg()
    prefixed = Prefixed.objects.create(title="x", image=ContentFile(b"old", "old.jpg"))
    monkeypatch.setattr(FileSystemStorage, "get_modified_time", None)  # No query is necessary.
    files = {"image": in_memory(data=new)}
    form_for(base, Prefixed, {"title": "x"}, files, loaded(prefixed)).save()

    save_pending_uploads()

    assert bytes_of(prefixed) == new


# An overridden save()


@both
def test_a_save_that_moves_the_stored_image_leaves_its_new_name(base, in_memory):
    data = pictures.jpeg()
    named = form_for(base, NamedByKey, {"title": "x"}, {"image": in_memory(data=data)}).save()
    save_pending_uploads()

    named = loaded(named)
    assert (named.image.name, bytes_of(named)) == (f"by-key/{named.pk}-dune.jpg", data)


@both
def test_a_save_that_takes_a_flag_off_all_rows_leaves_it_on_its_own(base, in_memory):
    other = OnlyOneMain.objects.create(title="other")
    main = form_for(base, OnlyOneMain, {"title": "x"}, {"image": in_memory()}).save()
    save_pending_uploads()

    assert loaded(main).is_main
    assert not loaded(other).is_main


@both
@pytest.mark.parametrize("title", ["old", "new"])
def test_a_save_that_writes_only_changed_columns_writes_the_image(base, title, in_memory):
    data = pictures.jpeg()
    instance = WritesWhatChanged.objects.create(title="old")
    files = {"image": in_memory(data=data)}
    form_for(base, WritesWhatChanged, {"title": title}, files, loaded(instance)).save()
    save_pending_uploads()

    assert (loaded(instance).title, bytes_of(instance)) == (title, data)


# An admin


class OwnForm(forms.ModelForm):
    """A form of the project."""


class BaseAdmin(admin.ModelAdmin):
    form = OwnForm


class PhotoAdmin(AsyncImageAdminMixin, BaseAdmin):
    pass


def test_the_form_of_a_base_of_an_admin_is_its_form(rf):
    form_class = PhotoAdmin(Photo, admin.AdminSite()).get_form(rf.get("/"))

    assert issubclass(form_class, OwnForm)


# Final storages


class ByName(FileSystemStorage):
    """Takes its last argument by name only, as Django passes it."""

    def save(self, name, content, *, max_length=None):
        return super().save(name, content, max_length=max_length)


class Composed:
    """Wraps another storage, and is not a Storage itself."""

    def __init__(self, location):
        self.inner = FileSystemStorage(location)

    def __getattr__(self, name):
        return getattr(self.inner, name)


class WithSlots(FileSystemStorage):
    __slots__ = ("folder",)

    def __init__(self, location):
        super().__init__(location)
        self.folder = "folder"

    def _save(self, name, content):
        return super()._save(f"{self.folder}/{name}", content)


class Final(FileSystemStorage):
    def __init_subclass__(cls, **kwargs):
        raise TypeError("This class is final.")


@both
@pytest.mark.parametrize("storage", [ByName, Composed, WithSlots, Final])
def test_an_image_is_stored_in_this_storage(storage, base, in_memory, tmp_path, monkeypatch):
    monkeypatch.setattr(Photo._meta.get_field("image"), "storage", storage(tmp_path / "final"))
    data = pictures.jpeg()
    photo = form_for(base, Photo, {"title": "x"}, {"image": in_memory(data=data)}).save()

    save_pending_uploads()

    assert bytes_of(photo) == data


# Files that a view puts on the instance


class Stream(io.RawIOBase):
    """A network stream, which has no size and can be read once."""

    def __init__(self, data):
        self._file = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._file.readinto(buffer)


FILES = {
    "with a path for its name": lambda data: ContentFile(data, Path("dune.jpg")),
    "of a stream": lambda data: File(Stream(data), "dune.jpg"),
    "with a size that is text": lambda data: UploadedFile(
        io.BytesIO(data), "dune.jpg", "image/jpeg", str(len(data))
    ),
}


@both
@pytest.mark.parametrize("kind", FILES)
def test_a_file_of_this_kind_is_stored(kind, base, in_memory):
    data = pictures.jpeg()
    form = form_for(base, Photo, {"title": "x"}, {"image": in_memory()})
    photo = form.save(commit=False)
    photo.image = FILES[kind](data)
    photo.save()
    save_pending_uploads()

    assert bytes_of(photo) == data


# "replacing", for an instance that a view holds


def replacing(instance, in_memory, title="x"):
    data = pictures.jpeg()
    form_for(
        ReplacingForm, Place, {"name": title}, {"image": in_memory(data=data)}, instance
    ).save()
    return data


def test_an_image_that_replaces_a_newer_one_on_a_refreshed_instance_is_pending(in_memory):
    place = Place()
    replacing(place, in_memory)
    newer = loaded(place)
    newer.image = in_memory("newer.jpg")
    newer.save()
    place.refresh_from_db()

    replacing(place, in_memory)

    assert loaded(place).image.name == "places/newer.jpg"
    assert uploads_for(place).count() == 1


def test_an_image_of_a_held_instance_that_was_cleared_is_saved_in_the_request(in_memory):
    place = Place.objects.create(name="x", image=in_memory())
    replacing(place, in_memory)
    form_class = modelform_factory(Place, ReplacingForm, fields=["name", "image"])
    form_class({"name": "x", "image-clear": "on"}, {}, instance=place).save()

    assert bytes_of(place) is None
    data = replacing(place, in_memory)

    assert bytes_of(place) == data


def test_an_image_whose_column_was_not_loaded_is_replaced_by_a_worker(in_memory):
    place = Place.objects.create(name="x", image=in_memory("old.jpg"))

    replacing(Place.objects.defer("image").get(), in_memory)

    assert loaded(place).image.name == "places/old.jpg"


def test_an_image_of_a_copy_is_saved_in_the_request(in_memory):
    data = pictures.jpeg()
    place = Place.objects.create(name="x", image=in_memory("old.jpg"))
    files = {"image": in_memory(data=data)}
    copy = form_for(ReplacingForm, Place, {"name": "copy"}, files, place).save(commit=False)
    copy.pk = None
    copy._state.adding = True
    copy.save()

    assert bytes_of(copy) == data
