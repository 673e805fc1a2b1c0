"""
A view saves a form, and then saves the same rows again, perhaps after the worker.

Each test runs with Django's own form, which defines the right result, and with ours.
"""

import pytest
from django.forms import inlineformset_factory, modelformset_factory

from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.both import async_form, form_for, names, roll_back
from tests.project.models import (
    Album,
    Measured,
    OnlyImages,
    Page,
    Photo,
    Place,
    Restaurant,
    Slugged,
)

pytestmark = pytest.mark.django_db


def photo_formset(base, files, instances=()):
    """Return a formset with an image for each of its forms."""
    initial = len(instances)
    data = {"form-TOTAL_FORMS": initial + len(files), "form-INITIAL_FORMS": initial}
    for number, instance in enumerate(instances):
        data |= {f"form-{number}-id": instance.pk, f"form-{number}-title": f"Changed {number}"}
    for number in range(len(files)):
        data[f"form-{initial + number}-title"] = f"New {number}"
    files = {f"form-{initial + number}-image": file for number, file in enumerate(files)}
    formset_class = modelformset_factory(Photo, form=base, fields=["title", "image"])
    return formset_class(data, files, queryset=Photo.objects.order_by("pk"))


# A formset, and its rows again


@pytest.mark.parametrize("commit", [True, False], ids=["commit", "without commit"])
def test_the_rows_of_a_formset_are_saved_again_after_the_worker(base, commit, in_memory):
    formset = photo_formset(base, [in_memory(f"{n}.jpg") for n in range(3)])
    saved = formset.save(commit=commit)
    if not commit:
        for photo in saved:
            photo.save()
    save_pending_uploads()

    for number, form in enumerate(formset.forms):
        form.instance.title = f"Number {number}"
        form.instance.save()
    for photo in saved:
        photo.save()

    assert names() == ["photos/0.jpg", "photos/1.jpg", "photos/2.jpg"]
    assert Photo.objects.filter(title__startswith="Number").count() == 3


def test_the_rows_of_a_formset_are_saved_again_one_by_one_as_workers_work(base, in_memory):
    saved = photo_formset(base, [in_memory(f"{n}.jpg") for n in range(3)]).save()

    for photo in saved:
        photo.save()
        save_pending_uploads()
        photo.save()

    assert names() == ["photos/0.jpg", "photos/1.jpg", "photos/2.jpg"]


def test_the_changed_rows_of_a_formset_are_saved_again(base, old, in_memory):
    formset = photo_formset(base, [in_memory("new.jpg")], [old])
    assert formset.is_valid(), formset.errors
    saved = formset.save()
    save_pending_uploads()

    for photo in saved:
        photo.save()

    assert names() == ["photos/new.jpg", "photos/old.jpg"]


def test_inline_rows_are_saved_again_with_their_order(base, in_memory):
    album = Album.objects.create(name="Arrakis")
    formset_class = inlineformset_factory(Album, Page, form=base, fields=["image"])
    data = {"pages-TOTAL_FORMS": 2, "pages-INITIAL_FORMS": 0}
    files = {f"pages-{n}-image": in_memory(f"{n}.jpg") for n in range(2)}
    formset = formset_class(data, files, instance=album)
    assert formset.is_valid(), formset.errors
    pages = formset.save()
    save_pending_uploads()

    for number, page in enumerate(pages):
        page.caption = f"{number + 1} of 2"
        page.save()

    assert names(Page) == ["pages/0.jpg", "pages/1.jpg"]
    assert set(Page.objects.values_list("caption", flat=True)) == {"1 of 2", "2 of 2"}


# A form, and its instance again


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"update_fields": ["title"]},
        {"update_fields": ["image"]},
        {"update_fields": ["title", "image"]},
        {"force_update": True},
    ],
    ids=str,
)
def test_a_saved_instance_is_saved_again_in_any_way(base, arguments, old, in_memory):
    photo = form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    save_pending_uploads()
    photo.save(**arguments)
    photo.save(**arguments)

    assert names() == ["photos/new.jpg"]


def test_a_saved_instance_of_images_only_is_saved_again_by_their_names(base, in_memory):
    old = OnlyImages.objects.create(front=in_memory("front.jpg"))
    only = form_for(base, OnlyImages, {}, {"front": in_memory("new.jpg")}, old).save()
    save_pending_uploads()
    only.save(update_fields=["front", "back"])

    assert OnlyImages.objects.get().front.name == "only/new.jpg"


def test_a_saved_child_is_saved_again_in_both_tables(base, in_memory):
    files = {"image": in_memory("new.jpg"), "menu": in_memory("menu.jpg")}
    restaurant = form_for(base, Restaurant, {"name": "Sietch"}, files).save()
    save_pending_uploads()
    restaurant.name = "Tabr"
    restaurant.save()

    found = Restaurant.objects.get()
    assert (found.name, found.image.name, found.menu.name) == (
        "Tabr",
        "places/new.jpg",
        "menus/menu.jpg",
    )


def test_a_form_of_the_title_on_a_saved_instance_leaves_the_image(base, old, in_memory):
    photo = form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    second = form_for(base, Photo, {"title": "Arrakis"}, instance=photo)
    assert second.is_valid()
    save_pending_uploads()
    second.save()
    photo.save()

    assert (Photo.objects.get().title, names()) == ("Arrakis", ["photos/new.jpg"])


def test_a_form_of_the_image_on_a_saved_instance_replaces_it(base, old, in_memory):
    photo = form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    save_pending_uploads()
    form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("newest.jpg")}, photo).save()
    save_pending_uploads()
    photo.save()

    assert names() == ["photos/newest.jpg"]


def test_a_form_that_clears_a_saved_instance_after_the_worker_clears_it(base, in_memory):
    measured = form_for(base, Measured, {"title": "Dune"}, {"image": in_memory("new.jpg")}).save()
    save_pending_uploads()
    data = {"title": "Dune", "image-clear": "on"}
    form_for(base, Measured, data, {}, measured, ["title", "image"]).save()
    measured.save()

    found = Measured.objects.get()
    assert (found.image.name, found.width) == ("", None)


@pytest.mark.parametrize("when", ["before the worker", "after the worker", "after a refresh"])
def test_a_saved_instance_is_emptied(base, when, in_memory):
    old = Measured.objects.create(title="Old", image=in_memory("old.jpg"))
    files = {"image": in_memory("new.jpg")}
    measured = form_for(base, Measured, {"title": "Dune"}, files, old).save()
    if when != "before the worker":
        save_pending_uploads()
    if when == "after a refresh":
        measured.refresh_from_db()
    measured.image = None
    measured.save()
    save_pending_uploads()

    found = Measured.objects.get()
    assert (found.image.name, found.width) == ("", None)
    assert not Upload.objects.exists()


@pytest.mark.parametrize("name", ["", "only/other.jpg"], ids=["emptied", "replaced"])
def test_a_change_of_a_saved_instance_that_is_rolled_back_is_made_again(base, name, in_memory):
    old = OnlyImages.objects.create(front=in_memory("old.jpg"))
    only = form_for(base, OnlyImages, {}, {}, old, ["front", "back"]).save()
    only.front = name
    roll_back(only.save)
    only.save()

    assert OnlyImages.objects.get().front.name == name


def test_a_change_that_is_rolled_back_is_taken_back(base, old):
    photo = form_for(base, Photo, {"title": "Dune"}, instance=old).save()
    photo.image = "photos/other.jpg"
    roll_back(photo.save)
    photo.image = "photos/old.jpg"
    photo.save()

    assert names() == ["photos/old.jpg"]


def test_an_instance_whose_form_was_rolled_back_is_saved_as_another(base, old, in_memory):
    form = form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old)
    roll_back(form.save)
    form.instance.pk = None
    form.instance.save()
    save_pending_uploads()

    assert names() == ["photos/new.jpg", "photos/old.jpg"]


def test_two_instances_of_one_row_are_saved_in_turn(base, old, in_memory):
    first = form_for(base, Photo, {"title": "First"}, {"image": in_memory("first.jpg")}, old)
    first = first.save()
    other = Photo.objects.get()
    second = form_for(base, Photo, {"title": "Second"}, {"image": in_memory("second.jpg")}, other)
    second = second.save()
    save_pending_uploads()
    second.title = "Last"
    second.save()

    assert (Photo.objects.get().title, names()) == ("Last", ["photos/second.jpg"])
    assert first.pk == second.pk


@pytest.mark.parametrize("has_old", [True, False], ids=["update", "create"])
def test_an_instance_that_was_loaded_before_is_saved_while_the_image_is_pending(
    has_old, request, in_memory
):
    old = request.getfixturevalue("old") if has_old else Photo.objects.create(title="Dune")
    stale = Photo.objects.get()
    async_form(Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    stale.save()
    save_pending_uploads()

    assert names() == ["photos/new.jpg"]


def test_dimensions_stay_with_their_image_when_a_saved_instance_is_saved_again(in_memory):
    old = Measured.objects.create(title="Old", image=in_memory("old.jpg"))
    files = {"image": in_memory("new.jpg", pictures.jpeg(80, 40))}
    measured = async_form(Measured, {"title": "Dune"}, files, old).save()
    save_pending_uploads()
    measured.save()

    found = Measured.objects.get()
    assert (found.image.name[-7:], found.width, found.height) == ("new.jpg", 80, 40)


def test_a_dimension_that_a_view_sets_on_a_saved_instance_is_written(base, in_memory):
    old = Measured.objects.create(title="Old", image=in_memory("old.jpg"))
    measured = form_for(base, Measured, {"title": "Dune"}, instance=old).save()
    measured.width = 1
    measured.save()

    assert Measured.objects.get().width == 1


# Instances that share an image, or change their key


@pytest.mark.parametrize("commit", [True, False], ids=["commit", "without commit"])
def test_the_second_of_two_forms_for_one_image_wins(base, commit, in_memory):
    data = pictures.jpeg()
    photo = form_for(base, Photo, {"title": "First"}, {"image": in_memory("first.jpg")})
    photo = photo.save(commit=commit)
    files = {"image": in_memory("second.jpg", data)}
    photo = form_for(base, Photo, {"title": "Second"}, files, photo).save(commit=commit)
    photo.save()
    save_pending_uploads()

    assert names() == ["photos/second.jpg"]
    assert pictures.stored(Photo.objects.get().image) == data


def test_an_image_after_a_form_that_clears_it_stays_when_the_instance_is_saved_again(
    base, in_memory
):
    place = Place.objects.create(name="Arrakis", image=in_memory("old.jpg"))
    place = form_for(base, Place, {"image-clear": "on"}, {}, place, ["image"]).save()
    place = form_for(base, Place, {"name": "Dune"}, {"image": in_memory("new.jpg")}, place).save()
    place.save()
    save_pending_uploads()

    assert names(Place) == ["places/new.jpg"]


@pytest.mark.django_db(transaction=True)
def test_an_image_after_a_form_that_leaves_a_new_instance_without_one_stays(base, in_memory):
    form = form_for(base, Place, {"name": "Dune"}, {}, None, ["name", "image"])
    form.clean_image = lambda: ""
    place = form.save()
    place = form_for(base, Place, {"name": "Dune"}, {"image": in_memory()}, place).save()
    place.save()
    save_pending_uploads()

    assert names(Place) == ["places/dune.jpg"]


def test_a_form_clears_an_image_that_was_rolled_back(base, in_memory):
    place = Place.objects.create(name="Arrakis")
    roll_back(form_for(base, Place, {"name": "Dune"}, {"image": in_memory()}, place).save)
    form_for(base, Place, {"image-clear": "on"}, {}, place, ["image"]).save()
    save_pending_uploads()

    assert names(Place) == [""]


@pytest.mark.django_db(transaction=True)
def test_code_empties_an_image_that_was_rolled_back(base, in_memory):
    place = Place.objects.create(name="Arrakis", image=in_memory("old.jpg"))
    roll_back(form_for(base, Place, {"name": "Dune"}, {"image": in_memory()}, place).save)
    place.image = None
    place.save()
    save_pending_uploads()

    assert names(Place) == [""]


@pytest.mark.parametrize("first", ["other", "own"])
def test_another_instance_takes_the_image_of_an_unsaved_one(base, first, in_memory):
    photo = form_for(base, Photo, {"title": "Dune"}, {"image": in_memory()}).save(commit=False)
    other = Photo(title="Other", image=photo.image)
    for one in [other, photo] if first == "other" else [photo, other]:
        one.save()
    save_pending_uploads()

    assert names() == ["photos/dune.jpg"] * 2


def test_a_new_instance_gets_the_key_of_an_existing_row(base, old, in_memory):
    files = {"image": in_memory("new.jpg")}
    photo = form_for(base, Photo, {"title": "Dune"}, files).save(commit=False)
    photo.pk = old.pk
    photo.save()
    save_pending_uploads()
    photo.save()

    assert names() == ["photos/new.jpg"]


def test_a_saved_instance_is_saved_under_another_key_and_its_own_again(base, in_memory):
    old = Slugged.objects.create(slug="a", image=in_memory("old.jpg"))
    slugged = form_for(base, Slugged, {"slug": "a"}, {"image": in_memory("new.jpg")}, old).save()
    save_pending_uploads()
    slugged.refresh_from_db()
    for slug in ("b", "a"):
        slugged.slug = slug
        slugged.save()

    assert names(Slugged) == ["slugged/new.jpg"] * 2


def test_an_image_that_was_read_is_stored_whole(base, in_memory):
    data = pictures.jpeg()
    files = {"image": in_memory(data=data)}
    photo = form_for(base, Photo, {"title": "Dune"}, files).save(commit=False)
    photo.image.read(3)
    photo.save()
    save_pending_uploads()

    assert pictures.stored(Photo.objects.get().image) == data


def test_an_image_that_the_view_stores_by_its_own_save_is_stored_once(base, old, in_memory, media):
    files = {"image": in_memory("new.jpg")}
    photo = form_for(base, Photo, {"title": "Dune"}, files, old).save(commit=False)
    photo.image.save("own.jpg", photo.image.file)
    photo.save()
    save_pending_uploads()

    assert names() == ["photos/own.jpg"]
    assert sorted(path.name for path in media.rglob("*.jpg")) == ["old.jpg", "own.jpg"]


def test_an_update_in_bulk_of_a_saved_instance_leaves_the_image(base, old, in_memory):
    photo = form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    save_pending_uploads()
    photo.title = "Arrakis"
    Photo.objects.bulk_update([photo], ["title"])

    assert (Photo.objects.get().title, names()) == ("Arrakis", ["photos/new.jpg"])
