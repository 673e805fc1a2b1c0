"""A project's own code in models and admins works as without the package."""

from unittest import mock

import pytest
from django import forms
from django.contrib import admin
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db.models import Model
from django.db.models.signals import post_save

from django_async_forms.admin import AsyncImageAdminMixin
from django_async_forms.signals import image_saved
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.project.models import Photo
from tests.situations.forms import (
    async_form,
    both,
    bytes_of,
    loaded,
    saved,
    uploads_for,
)
from tests.situations.own_code import (
    CleanedByKeyword,
    Coin,
    Counted,
    Decorated,
    DefaultOfDatabase,
    Located,
    NamedByKey,
    OnlyOneMain,
    Pictured,
    PicturedProxy,
    Prefixed,
    StampedChild,
    WritesWhatChanged,
)

pytestmark = pytest.mark.django_db


# Methods that come later in the order of bases


@both
def test_a_save_of_a_base_after_the_one_with_the_image_runs(base, image):
    child = saved(base, StampedChild, {"title": "x"}, {"image": image})

    assert (child.stamp, bytes_of(child)) == ("set in save()", image.data)


def test_a_save_of_a_base_after_the_one_with_the_image_runs_without_any_form():
    assert StampedChild.objects.create(title="x").stamp == "set in save()"


def test_methods_of_a_base_after_the_model_of_a_proxy_run():
    proxy = PicturedProxy(title="x")
    proxy.clean_fields()
    proxy.save()

    assert Pictured.objects.get().title == "x cleaned saved"


def test_the_images_of_two_parents_are_staged_once_each(in_memory):
    files = {"front": in_memory("front.jpg"), "back": in_memory("back.jpg")}
    coin = async_form(Coin, {}, files).save()

    assert sorted(upload.name for upload in uploads_for(coin)) == ["back.jpg", "front.jpg"]


@both
def test_the_images_of_two_parents_are_attached(base, in_memory):
    files = {"front": in_memory("front.jpg"), "back": in_memory("back.jpg")}
    coin = saved(base, Coin, {}, files)
    coin = saved(base, Coin, {}, {"back": in_memory("new.jpg")}, coin, ["front", "back"])

    assert (coin.front.name, coin.back.name) == ("coins/front.jpg", "coins/new.jpg")


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


def test_methods_that_are_no_functions_are_called():
    instance = Decorated(title="x")
    instance.full_clean()
    instance.save()

    assert loaded(instance).title == "x cleaned saved loaded"


# Rows


def test_a_default_of_the_database_stays_until_the_image_is_attached(image):
    instance = async_form(DefaultOfDatabase, {"title": "x"}, {"image": image}).save()
    assert loaded(instance).image.name in ("", "placeholder.png")

    save_pending_uploads()

    assert bytes_of(instance) == image.data


@both
def test_a_field_whose_column_is_not_its_name_gets_another_image(base, in_memory, monkeypatch):
    new = pictures.jpeg()
    prefixed = Prefixed.objects.create(title="x", image=ContentFile(b"old", "old.jpg"))
    monkeypatch.setattr(FileSystemStorage, "get_modified_time", None)  # No query is necessary.
    saved(base, Prefixed, {"title": "x"}, {"image": in_memory(data=new)}, loaded(prefixed))

    assert bytes_of(prefixed) == new


# An overridden save()


@both
def test_a_save_that_moves_the_stored_image_leaves_its_new_name(base, image):
    named = saved(base, NamedByKey, {"title": "x"}, {"image": image})

    assert (named.image.name, bytes_of(named)) == (f"by-key/{named.pk}-dune.jpg", image.data)


@both
def test_a_save_that_finds_a_point_in_each_image_replaces_that_of_the_old_one(base, in_memory):
    located = saved(base, Located, {"title": "x"}, {"image": in_memory()})
    other = in_memory(data=pictures.jpeg(10, 20))
    located = saved(base, Located, {"title": "x"}, {"image": other}, located)

    assert str(located.point) == "10 20"


@pytest.mark.parametrize("signal", [post_save, image_saved], ids=["post_save", "image_saved"])
def test_a_receiver_in_the_worker_finds_what_the_database_generates(signal, connect, image):
    async_form(Counted, {}, {"image": image}, fields=["image"]).save()
    found = []
    connect(signal, lambda instance, **kwargs: found.append(instance), Counted)

    save_pending_uploads()

    (counted,) = found
    assert counted.length == len(counted.image.name)


@both
def test_a_save_that_takes_a_flag_off_all_rows_leaves_it_on_its_own(base, image):
    other = OnlyOneMain.objects.create(title="other")
    main = saved(base, OnlyOneMain, {"title": "x"}, {"image": image})

    assert main.is_main
    assert not loaded(other).is_main


@both
@pytest.mark.parametrize("title", ["old", "new"])
def test_a_save_that_writes_only_changed_columns_writes_the_image(base, title, image):
    instance = WritesWhatChanged.objects.create(title="old")
    saved(base, WritesWhatChanged, {"title": title}, {"image": image}, loaded(instance))

    assert (loaded(instance).title, bytes_of(instance)) == (title, image.data)


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
