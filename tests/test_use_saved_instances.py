"""
A saved instance is like any other: it can be copied, pickled, deleted, and read anywhere.

Each test runs with Django's own form, which defines the right result, and with ours.
"""

import asyncio
import copy
import gc
import pickle

import pytest
from asgiref.sync import async_to_sync
from django import forms
from django.core import serializers
from django.core.files.base import ContentFile
from django.db import models
from django.db.models.signals import post_delete, post_save, pre_save
from django.forms import model_to_dict

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.both import async_form, form_for, names, without_chance
from tests.habits.models import Remembering
from tests.project.models import Measured, Photo, Place, Restaurant

pytestmark = pytest.mark.django_db(databases=["default", "other"])


@pytest.fixture(params=["with an image", "without"])
def files(request, in_memory):
    """The files that are posted with a form for an instance with an image."""
    return {"image": in_memory("new.jpg")} if request.param == "with an image" else {}


def by_pickle(instance):
    return pickle.loads(pickle.dumps(instance))


copied = pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, by_pickle], ids=["copy", "deepcopy", "pickle"]
)


# Nothing is missing


def test_a_saved_instance_has_no_deferred_field(base, old, files):
    saved = form_for(base, Photo, {"title": "Dune"}, files, old).save()

    assert saved.get_deferred_fields() == set()


def test_a_saved_instance_has_no_attributes_but_djangos(in_memory):
    plain, ours = (
        form_for(base, Photo, {"title": "Dune"}, {"image": in_memory()}).save()
        for base in (forms.ModelForm, AsyncImageModelForm)
    )

    assert vars(ours).keys() <= vars(plain).keys()


def test_a_saved_instance_can_be_serialized(base, old, files):
    saved = form_for(base, Photo, {"title": "Dune"}, files, old).save()

    [back] = serializers.deserialize("json", serializers.serialize("json", [saved]))

    assert back.object.image.name == saved.image.name


def test_a_saved_instance_makes_the_initial_data_of_the_next_form(base, old, files):
    saved = form_for(base, Photo, {"title": "Dune"}, files, old).save()

    assert model_to_dict(saved)["image"] == saved.image


def test_reading_a_saved_instance_makes_no_query(base, old, files, django_assert_num_queries):
    saved = form_for(base, Photo, {"title": "Dune"}, files, old).save()

    with django_assert_num_queries(0):
        assert (saved.title, bool(saved.image)) == ("Dune", True)


def test_an_async_view_can_read_the_saved_image(base, files, in_memory):
    old = Measured.objects.create(title="Old", image=in_memory("old.jpg"))
    saved = form_for(base, Measured, {"title": "Dune"}, files, old).save()

    async def view():
        return saved.image.name, saved.width, saved.height

    name, width, height = asyncio.run(view())
    assert (bool(name), width, height) == (True, 64, 48)


def test_a_model_that_remembers_two_fields_can_read_its_saved_image(base, files, in_memory):
    Remembering.objects.create(title="Old", image=in_memory("old.jpg"))
    saved = form_for(base, Remembering, {"title": "Dune"}, files, Remembering.objects.get()).save()
    save_pending_uploads()

    assert saved.image.name
    assert saved.first_image == "habits/old.jpg"
    saved.refresh_from_db()
    assert without_chance(saved.image.name) == f"habits/{'new' if files else 'old'}.jpg"


def test_a_model_that_remembers_two_fields_is_created(base, in_memory):
    form_for(base, Remembering, {"title": "Dune"}, {"image": in_memory()}).save()
    save_pending_uploads()

    assert names(Remembering) == ["habits/dune.jpg"]


@pytest.mark.skipif(not hasattr(models, "FETCH_RAISE"), reason="Django 6.1 has fetch modes")
def test_a_saved_instance_that_must_fetch_nothing_can_read_its_image(base, old, files):
    loaded = Photo.objects.fetch_mode(models.FETCH_RAISE).get()

    saved = form_for(base, Photo, {"title": "Dune"}, files, loaded).save()
    saved.save()
    save_pending_uploads()

    assert saved.image.name
    assert names() == ["photos/new.jpg" if files else "photos/old.jpg"]


def test_a_deferred_image_stays_deferred_when_a_form_saves_the_title(base, old):
    saved = form_for(base, Photo, {"title": "Dune"}, instance=Photo.objects.only("title").get())
    saved = saved.save()

    assert saved.get_deferred_fields() == {"image"}
    assert (saved.image.name, Photo.objects.get().title) == ("photos/old.jpg", "Dune")


def test_an_image_replaces_a_deferred_one(base, old, in_memory):
    loaded = Photo.objects.defer("image").get()

    form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}, loaded).save()
    save_pending_uploads()

    assert names() == ["photos/new.jpg"]


def test_an_image_replaces_a_deferred_one_with_dimensions(base, in_memory):
    Measured.objects.create(title="Old", image=in_memory("old.jpg"))
    loaded = Measured.objects.defer("image", "width", "height").get()
    files = {"image": in_memory("new.jpg", pictures.jpeg(80, 40))}

    form_for(base, Measured, {"title": "Dune"}, files, loaded).save()
    save_pending_uploads()

    measured = Measured.objects.get()
    assert (measured.image.name[-7:], measured.width, measured.height) == ("new.jpg", 80, 40)


# Copies


@copied
@pytest.mark.parametrize("adding", [True, False], ids=["a new one", "one without a key"])
def test_a_copy_of_a_saved_instance_is_saved_under_a_new_key(base, duplicate, adding, old):
    twin = duplicate(form_for(base, Photo, {"title": "Dune"}, instance=old).save())
    twin.pk, twin._state.adding = None, adding
    twin.save()

    assert names() == ["photos/old.jpg"] * 2


@copied
def test_copies_of_saved_instances_are_created_in_bulk(base, duplicate, old, files):
    saved = form_for(base, Photo, {"title": "Dune"}, files, old).save()

    twins = [duplicate(saved), duplicate(saved)]
    for twin in twins:
        twin.pk = None
    Photo.objects.bulk_create(twins)

    assert Photo.objects.exclude(image="").count() == 3


@copied
def test_a_copy_of_a_saved_instance_with_dimensions_is_saved_under_a_new_key(duplicate, in_memory):
    old = Measured.objects.create(title="Old", image=in_memory("old.jpg"))
    files = {"image": in_memory("new.jpg", pictures.jpeg(80, 40))}
    twin = duplicate(async_form(Measured, {"title": "Dune"}, files, old).save())
    twin.pk = None
    twin.save()
    save_pending_uploads()

    found = Measured.objects.order_by("pk").values_list("image", "width", "height")
    assert [(name[-7:], width, height) for name, width, height in found] == [
        ("new.jpg", 80, 40),
        ("old.jpg", 64, 48),
    ]


@copied
@pytest.mark.parametrize("has_old", [True, False], ids=["update", "create"])
def test_a_copy_that_is_saved_after_the_worker_leaves_the_image(base, duplicate, has_old, request):
    old = request.getfixturevalue("old") if has_old else None
    image = request.getfixturevalue("in_memory")("new.jpg")
    twin = duplicate(form_for(base, Photo, {"title": "Dune"}, {"image": image}, old).save())
    save_pending_uploads()

    twin.title = "Arrakis"
    twin.save()

    assert (Photo.objects.get().title, names()) == ("Arrakis", ["photos/new.jpg"])


@copied
def test_a_copy_of_a_copy_that_is_saved_after_the_worker_leaves_the_image(
    base, duplicate, old, in_memory
):
    saved = form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    twin = duplicate(duplicate(saved))
    save_pending_uploads()
    twin.save()
    twin.save()

    assert names() == ["photos/new.jpg"]


@copied
def test_a_copy_of_a_saved_instance_can_be_emptied(base, duplicate, in_memory):
    old = Measured.objects.create(title="Old", image=in_memory("old.jpg"))
    files = {"image": in_memory("new.jpg")}
    twin = duplicate(form_for(base, Measured, {"title": "Dune"}, files, old).save())
    twin.image = None
    twin.save()
    save_pending_uploads()

    assert names(Measured) == [""]


@copied
def test_a_copy_of_a_saved_instance_can_get_another_image(base, duplicate, old, in_memory):
    saved = form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    twin = duplicate(saved)
    twin.image = ContentFile(pictures.jpeg(), name="newest.jpg")
    twin.save()
    save_pending_uploads()

    assert names() == ["photos/newest.jpg"]


@copied
def test_a_copy_made_before_the_form_is_saved_has_nothing_of_it(base, duplicate, old, in_memory):
    before = duplicate(old)
    form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()

    assert (before.title, before.image.name) == ("Old", "photos/old.jpg")


def test_a_saved_instance_is_saved_to_another_database(base, old):
    form_for(base, Photo, {"title": "Dune"}, instance=old).save().save(using="other")

    assert names(using="other") == ["photos/old.jpg"]


def test_an_instance_saved_to_another_database_and_back_leaves_the_image(base, old, in_memory):
    saved = form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    saved.save(using="other")
    save_pending_uploads()
    Photo.objects.get().save(using="other")

    assert names() == names(using="other") == ["photos/new.jpg"]


def test_a_saved_instance_can_be_saved_when_its_form_is_gone(base, old, in_memory):
    saved = form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    gc.collect()
    save_pending_uploads()
    saved.save()

    assert names() == ["photos/new.jpg"]


@pytest.mark.parametrize("way", ["save", "save_base"])
def test_a_child_that_is_made_of_a_saved_parent_keeps_its_columns(base, way, files, in_memory):
    old = Place.objects.create(name="Old", image=in_memory("old.jpg"))
    place = form_for(base, Place, {"name": "Sietch"}, files, old).save()

    child = Restaurant(place_ptr_id=place.pk)
    child.__dict__.update(place.__dict__)
    if way == "save":
        child.save()
    else:
        child.save_base(raw=True)
    save_pending_uploads()

    restaurant = Restaurant.objects.get()
    assert restaurant.name == "Sietch"
    assert without_chance(restaurant.image.name) == f"places/{'new' if files else 'old'}.jpg"
    assert restaurant.menu.name == ""


def test_a_child_that_is_made_of_a_parent_before_its_form_is_saved(base, in_memory):
    place = Place.objects.create(name="Old", image=in_memory("old.jpg"))
    child = Restaurant(place_ptr_id=place.pk)
    child.__dict__.update(place.__dict__)
    files = {"image": in_memory("new.jpg"), "menu": in_memory("menu.jpg")}

    form_for(base, Restaurant, {"name": "Sietch"}, files, child).save()
    save_pending_uploads()

    restaurant = Restaurant.objects.get()
    assert (restaurant.image.name, restaurant.menu.name) == ("places/new.jpg", "menus/menu.jpg")


# Deleting


def remove_the_file(instance, **kwargs):
    instance.image.delete(save=False)


def test_a_receiver_of_post_delete_can_remove_a_saved_instances_file(base, connect, old, files):
    saved = form_for(base, Photo, {"title": "Dune"}, files, old).save()

    connect(post_delete, remove_the_file, Photo)
    saved.delete()

    assert not Photo.objects.exists()
    assert not Upload.objects.exists()


def test_a_receiver_of_post_delete_can_remove_a_new_instances_file(base, connect, in_memory, media):
    saved = form_for(base, Photo, {"title": "Dune"}, {"image": in_memory()}).save()

    connect(post_delete, remove_the_file, Photo)
    saved.delete()
    save_pending_uploads()

    assert not list(media.rglob("*.jpg"))


def delete_it(saved):
    saved.delete()
    return saved


def delete_its_row(saved):
    Photo.objects.all().delete()
    return saved


def copy_it_and_delete_its_row(saved):
    Photo.objects.all().delete()
    return copy.copy(saved)


@pytest.mark.parametrize("delete", [delete_it, delete_its_row, copy_it_and_delete_its_row])
def test_a_deleted_instance_can_be_saved_again(base, delete, old):
    saved = delete(form_for(base, Photo, {"title": "Dune"}, instance=old).save())

    saved.save()

    assert (Photo.objects.get().title, names()) == ("Dune", ["photos/old.jpg"])


def test_a_process_without_the_package_can_read_a_pickle(base, old, files):
    saved = form_for(base, Photo, {"title": "Dune"}, files, old).save()

    assert b"django_async_forms" not in pickle.dumps(saved)


# Receivers of signals


def pickles(instance):
    pickle.dumps(instance)


def copies(instance):
    assert copy.deepcopy(instance).title == instance.title


def saves_again(instance):
    if not getattr(instance, "is_nested", False):
        instance.is_nested = True
        instance.save()


def saves_the_title_again(instance):
    if not getattr(instance, "is_nested", False):
        instance.is_nested = True
        instance.save(update_fields=["title"])


def looks(instance):
    assert instance.get_deferred_fields() == set()
    assert isinstance(instance.image.name, str | None)


def serializes(instance):
    serializers.serialize("json", [instance])


ACTIONS = [pickles, copies, looks, serializes, saves_again, saves_the_title_again]


@pytest.mark.parametrize("is_update", [True, False], ids=["update", "create"])
@pytest.mark.parametrize("signal", [pre_save, post_save], ids=["pre_save", "post_save"])
@pytest.mark.parametrize("action", ACTIONS)
def test_a_receiver_takes_the_instance_for_a_complete_one(
    base, action, signal, is_update, connect, request, media, in_memory
):
    if signal is pre_save and action is saves_the_title_again and not is_update:
        pytest.skip("There is no row to update, with a plain form either.")
    photo = request.getfixturevalue("old") if is_update else None

    def receive(instance, **kwargs):
        action(instance)

    connect(signal, receive, Photo)
    form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}, photo).save()
    save_pending_uploads()

    assert (Photo.objects.get().title, names()) == ("Dune", ["photos/new.jpg"])
    assert len(list(media.rglob("new*.jpg"))) == 1
    assert not Upload.objects.exists()


@pytest.mark.parametrize("is_update", [True, False], ids=["update", "create"])
@pytest.mark.parametrize("signal", [pre_save, post_save], ids=["pre_save", "post_save"])
def test_a_form_is_saved_again_after_a_receiver_has_raised(
    base, signal, is_update, connect, request, media, in_memory
):
    photo = request.getfixturevalue("old") if is_update else None
    form = form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}, photo)

    def fail(**kwargs):
        raise ZeroDivisionError

    signal.connect(fail, sender=Photo)
    with pytest.raises(ZeroDivisionError):
        form.save()
    signal.disconnect(fail, sender=Photo)
    form.save()
    save_pending_uploads()

    assert (Photo.objects.get().title, names()) == ("Dune", ["photos/new.jpg"])
    assert len(list(media.rglob("new*.jpg"))) == 1


@pytest.mark.parametrize("signal", [pre_save, post_save], ids=["pre_save", "post_save"])
def test_a_receiver_that_raises_leaves_the_same_row_as_in_plain_django(
    base, signal, connect, old, in_memory
):
    def fail(**kwargs):
        raise ZeroDivisionError

    connect(signal, fail, Photo)
    with pytest.raises(ZeroDivisionError):
        form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    signal.disconnect(fail, sender=Photo)
    save_pending_uploads()

    expected = {pre_save: ("Old", ["photos/old.jpg"]), post_save: ("Dune", ["photos/new.jpg"])}
    assert (Photo.objects.get().title, names()) == expected[signal]


def test_a_receiver_sees_update_fields_as_they_were_given(base, connect, old, files):
    seen = []

    def see(update_fields, created, **kwargs):
        seen.append((update_fields, created))

    connect(post_save, see, Photo)
    form_for(base, Photo, {"title": "Dune"}, files, old).save()

    assert seen == [(None, False)]


def test_a_receiver_of_pre_save_can_set_the_image(base, connect, old):
    def set_it(instance, **kwargs):
        instance.image = "photos/other.jpg"

    connect(pre_save, set_it, Photo)
    form_for(base, Photo, {"title": "Dune"}, instance=old).save()

    assert names() == ["photos/other.jpg"]


def test_a_receiver_of_post_save_can_save_the_saved_image_itself(base, connect, old):
    def store(instance, **kwargs):
        if instance.image.name != "photos/own.jpg":
            instance.image.save("own.jpg", ContentFile(pictures.jpeg()))

    connect(post_save, store, Photo)
    form_for(base, Photo, {"title": "Dune"}, instance=old).save()
    save_pending_uploads()

    assert names() == ["photos/own.jpg"]


# Between commit=False and save()


@pytest.mark.parametrize(
    ("fields", "image"), [(["title"], "photos/new.jpg"), (None, "photos/old.jpg")], ids=str
)
def test_a_refresh_before_the_instance_is_saved_drops_what_it_reads(
    base, fields, image, old, in_memory
):
    form = form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old)
    photo = form.save(commit=False)
    photo.refresh_from_db(fields=fields)
    photo.save()
    save_pending_uploads()

    assert (Photo.objects.get().title, names()) == ("Old", [image])


@pytest.mark.parametrize("refresh", [Photo.refresh_from_db, async_to_sync(Photo.arefresh_from_db)])
@pytest.mark.parametrize("collect", [list, iter], ids=["list", "iterator"])
def test_an_image_that_was_refreshed_by_name_is_set_back(base, collect, refresh, old, in_memory):
    photo = form_for(base, Photo, {"title": "Dune"}, instance=old).save()
    Photo.objects.get().image.save("newer.jpg", in_memory("newer.jpg"))
    refresh(photo, fields=collect(["image"]))
    photo.image = "photos/old.jpg"
    photo.save()

    assert names() == ["photos/old.jpg"]


def test_a_refresh_of_no_fields_leaves_a_new_name_to_be_written(base, old):
    photo = form_for(base, Photo, {"title": "Dune"}, instance=old).save()
    photo.image = "photos/other.jpg"
    photo.refresh_from_db(fields=[])
    photo.save()

    assert names() == ["photos/other.jpg"]
