"""
Arguments to save() after form.save(commit=False) have the same meaning as in plain Django.

Each test runs with Django's own form, which defines the right result, and with ours.
"""

import django
import pytest
from asgiref.sync import async_to_sync
from django.db import DatabaseError, IntegrityError, transaction

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.both import async_form, form_for, names, roll_back
from tests.habits.models import DefaultKeyed, Narrow, Selected, SelectedChild
from tests.project.models import (
    Album,
    Keyed,
    Measured,
    OnlyImages,
    Page,
    Photo,
    Place,
    PlaceProxy,
    Restaurant,
    Retouched,
    Slugged,
)

pytestmark = pytest.mark.django_db(databases=["default", "other"])


def positional(test):
    """Mark a test that passes arguments by their position, as Django allows before 6.0."""
    test = pytest.mark.filterwarnings("ignore:Passing positional arguments")(test)
    return pytest.mark.skipif(django.VERSION >= (6, 0), reason="Django 6 takes keywords")(test)


@pytest.fixture
def unsaved(old, in_memory):
    """Makes the instance that a view has between save(commit=False) and save()."""

    def make(base, instance=old):
        files = {"image": in_memory("new.jpg")}
        return form_for(base, Photo, {"title": "Dune"}, files, instance).save(commit=False)

    return make


# update_fields


SIZED = {
    "list": lambda *names: list(names),
    "tuple": lambda *names: names,
    "set": lambda *names: set(names),
    "view": lambda *names: dict.fromkeys(names).keys(),
}
ITERATORS = {
    "iterator": lambda *names: iter(names),
    "generator": lambda *names: (name for name in names),
}
as_any = pytest.mark.parametrize(
    "make", [*SIZED.values(), *ITERATORS.values()], ids=[*SIZED, *ITERATORS]
)


@as_any
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["title"], ("Dune", ["photos/old.jpg"])),
        (["image"], ("Old", ["photos/new.jpg"])),
        (["title", "image"], ("Dune", ["photos/new.jpg"])),
    ],
    ids=["title", "image", "both"],
)
def test_update_fields_of_any_kind_save_what_they_name(base, make, fields, expected, unsaved):
    unsaved(base).save(update_fields=make(*fields))
    save_pending_uploads()

    assert (Photo.objects.get().title, names()) == expected


@pytest.mark.parametrize("make", SIZED.values(), ids=SIZED)
def test_empty_update_fields_of_any_kind_save_nothing(base, make, unsaved):
    photo = unsaved(base)
    photo.save(update_fields=make())
    save_pending_uploads()
    assert (Photo.objects.get().title, names()) == ("Old", ["photos/old.jpg"])

    photo.save()
    save_pending_uploads()
    assert (Photo.objects.get().title, names()) == ("Dune", ["photos/new.jpg"])


@pytest.mark.parametrize("make", ITERATORS.values(), ids=ITERATORS)
def test_empty_iterators_are_refused_and_leave_the_image_for_the_next_save(base, make, unsaved):
    photo = unsaved(base)
    with pytest.raises(AssertionError), transaction.atomic():  # As in Django: iterators are true.
        photo.save(update_fields=make())
    photo.save()
    save_pending_uploads()

    assert (Photo.objects.get().title, names()) == ("Dune", ["photos/new.jpg"])


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"update_fields": ["nonsense"]}, ValueError),
        ({"force_insert": True}, IntegrityError),
        ({"force_insert": True, "force_update": True}, ValueError),
    ],
    ids=["fields that do not exist", "a row that is there", "insert and update"],
)
def test_arguments_that_are_refused_stage_nothing(base, arguments, error, unsaved):
    photo = unsaved(base)
    with pytest.raises(error), transaction.atomic():
        photo.save(**arguments)
    assert not Upload.objects.exists()

    photo.save()
    save_pending_uploads()
    assert (Photo.objects.get().title, names()) == ("Dune", ["photos/new.jpg"])


def test_update_fields_of_a_new_instance_are_refused(base, unsaved):
    photo = unsaved(base, instance=None)
    with pytest.raises(ValueError, match="primary key"), transaction.atomic():
        photo.save(update_fields=["title"])
    photo.save()
    save_pending_uploads()

    assert names() == ["photos/new.jpg", "photos/old.jpg"]


@pytest.mark.parametrize(
    "fields", [["image"], ["image", "width", "height"], ["title", "image"]], ids=",".join
)
def test_update_fields_with_an_image_write_its_dimensions(base, fields, in_memory):
    old = Measured.objects.create(title="Old", image=in_memory("old.jpg"))
    files = {"image": in_memory("new.jpg", pictures.jpeg(80, 40))}
    photo = form_for(base, Measured, {"title": "Dune"}, files, old).save(commit=False)
    photo.save(update_fields=fields)
    save_pending_uploads()

    measured = Measured.objects.get()
    assert measured.image.name.endswith("/new.jpg")
    # Django writes only requested dimensions. A worker always writes the dimensions.
    if "width" in fields:
        assert (measured.width, measured.height) == (80, 40)


@pytest.mark.parametrize("field_name", ["album", "album_id"])
def test_update_fields_name_a_relation_by_its_field_or_its_column(base, field_name, in_memory):
    old, new = (Album.objects.create(name=name) for name in ("Old", "New"))
    page = Page.objects.create(album=old, image=in_memory("old.jpg"))
    page = form_for(base, Page, {}, {"image": in_memory("new.jpg")}, page).save(commit=False)
    page.album = new
    page.save(update_fields=[field_name, "image"])
    save_pending_uploads()

    page.refresh_from_db()
    assert (page.album, page.image.name) == (new, "pages/new.jpg")


def test_update_fields_of_one_of_two_images_leave_the_other_for_the_next_save(base, in_memory):
    files = {"front": in_memory("front.jpg"), "back": in_memory("back.jpg")}
    only = form_for(base, OnlyImages, {}, files, OnlyImages.objects.create()).save(commit=False)

    only.save(update_fields=["front"])
    save_pending_uploads()
    found = OnlyImages.objects.get()
    assert (found.front.name, found.back.name) == ("only/front.jpg", "")

    only.save()
    save_pending_uploads()
    found = OnlyImages.objects.get()
    assert (found.front.name, found.back.name) == ("only/front.jpg", "only/back.jpg")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["menu"], ("Old", "places/old.jpg", "menus/new-menu.jpg")),
        (["image"], ("Old", "places/new.jpg", "menus/menu.jpg")),
        (["name"], ("Sietch", "places/old.jpg", "menus/menu.jpg")),
        (["name", "menu", "image"], ("Sietch", "places/new.jpg", "menus/new-menu.jpg")),
    ],
    ids=["child", "parent", "neither", "both"],
)
def test_update_fields_reach_the_tables_of_parent_and_child(base, fields, expected, in_memory):
    old = Restaurant.objects.create(
        name="Old", image=in_memory("old.jpg"), menu=in_memory("menu.jpg")
    )
    files = {"image": in_memory("new.jpg"), "menu": in_memory("new-menu.jpg")}
    restaurant = form_for(base, Restaurant, {"name": "Sietch"}, files, old).save(commit=False)
    restaurant.save(update_fields=fields)
    save_pending_uploads()

    found = Restaurant.objects.get()
    assert (found.name, found.image.name, found.menu.name) == expected


def test_update_fields_of_a_clearing_form_clear_only_their_fields(base, in_memory):
    Measured.objects.create(title="Old", image=in_memory("old.jpg"))
    data = {"title": "Dune", "image-clear": "on"}
    form = form_for(base, Measured, data, {}, Measured.objects.get(), ["title", "image"])
    measured = form.save(commit=False)

    measured.save(update_fields=["title"])
    assert Measured.objects.get().image.name
    measured.save(update_fields=["image"])
    assert not Measured.objects.get().image


# force_insert and force_update


def test_force_insert_creates_with_the_image(base, unsaved):
    unsaved(base, instance=None).save(force_insert=True)
    save_pending_uploads()

    assert names() == ["photos/new.jpg", "photos/old.jpg"]


def test_force_insert_of_a_row_that_is_there_raises_again_after_the_form(base, old):
    saved = form_for(base, Photo, {"title": "Dune"}, instance=old).save()

    with pytest.raises(IntegrityError), transaction.atomic():
        saved.save(force_insert=True)

    assert Photo.objects.get().title == "Dune"


@pytest.mark.parametrize("force", [True, (Place, Restaurant), (Restaurant,)], ids=str)
def test_force_insert_of_a_child_creates_both_images(base, force, in_memory):
    files = {"image": in_memory("new.jpg"), "menu": in_memory("menu.jpg")}
    restaurant = form_for(base, Restaurant, {"name": "Sietch"}, files).save(commit=False)
    restaurant.save(force_insert=force)
    save_pending_uploads()

    found = Restaurant.objects.get()
    assert (found.image.name, found.menu.name) == ("places/new.jpg", "menus/menu.jpg")


def save_forced(photo):
    photo.save(force_update=True)


def save_base(photo):
    photo.save_base()


def asave(photo):
    async_to_sync(photo.asave)()


def asave_forced(photo):
    async_to_sync(photo.asave)(force_update=True)


@pytest.mark.parametrize("save", [save_forced, save_base, asave, asave_forced])
@pytest.mark.parametrize("sends", [True, False], ids=["with an image", "without"])
def test_every_way_to_save_updates_title_and_image(base, save, sends, old, in_memory):
    files = {"image": in_memory("new.jpg")} if sends else {}
    save(form_for(base, Photo, {"title": "Dune"}, files, old).save(commit=False))
    save_pending_uploads()

    expected = ["photos/new.jpg" if sends else "photos/old.jpg"]
    assert (Photo.objects.get().title, names()) == ("Dune", expected)


@pytest.mark.parametrize(
    "arguments", [{"force_update": True}, {"update_fields": ["title", "image"]}], ids=str
)
def test_a_forced_update_of_a_deleted_row_raises_and_stages_nothing(base, arguments, unsaved):
    photo = unsaved(base)
    Photo.objects.all().delete()

    with pytest.raises(DatabaseError), transaction.atomic():
        photo.save(**arguments)

    assert not Photo.objects.exists()
    assert not Upload.objects.exists()


@pytest.mark.parametrize("sends", [True, False], ids=["with an image", "without"])
def test_an_instance_that_was_deleted_meanwhile_is_inserted(base, sends, old, in_memory):
    files = {"image": in_memory("new.jpg")} if sends else {}
    photo = form_for(base, Photo, {"title": "Dune"}, files, old).save(commit=False)
    Photo.objects.all().delete()

    photo.save()
    save_pending_uploads()

    assert (Photo.objects.get().title, names()) == (
        "Dune",
        ["photos/new.jpg" if sends else "photos/old.jpg"],
    )


# using


@pytest.mark.parametrize("has_old", [False, True], ids=["new", "from another database"])
def test_using_saves_instance_and_image_to_that_database(base, has_old, old, unsaved):
    unsaved(base, old if has_old else None).save(using="other")
    assert save_pending_uploads() == 0
    save_pending_uploads("other")

    assert names() == ["photos/old.jpg"]
    assert names(using="other") == ["photos/new.jpg"]


def test_an_instance_is_saved_to_one_database_after_the_other(base, unsaved):
    photo = unsaved(base, instance=None)
    photo.save(using="other")
    save_pending_uploads("other")
    photo.refresh_from_db()
    photo.pk = None
    photo.save(using="default")

    assert names() == sorted(["photos/new.jpg", "photos/old.jpg"])


# Positional arguments


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param((False, False, None, ["title"]), ("Dune", "photos/old.jpg"), id="title"),
        pytest.param((False, False, None, ["image"]), ("Old", "photos/new.jpg"), id="image"),
        pytest.param((False, False, None, []), ("Old", "photos/old.jpg"), id="none"),
        pytest.param((False, False, None, None), ("Dune", "photos/new.jpg"), id="all"),
        pytest.param((False, True), ("Dune", "photos/new.jpg"), id="force_update"),
        pytest.param((False,), ("Dune", "photos/new.jpg"), id="no force_insert"),
    ],
)
@positional
def test_positional_arguments_mean_the_same_as_in_django(base, arguments, expected, unsaved):
    unsaved(base).save(*arguments)
    save_pending_uploads()

    assert (Photo.objects.get().title, *names()) == expected


@positional
def test_an_image_is_saved_to_a_positional_database(base, unsaved):
    unsaved(base, instance=None).save(False, False, "other")
    save_pending_uploads("other")

    assert names(using="other") == ["photos/new.jpg"]


@positional
def test_a_positional_database_has_the_upload_in_the_transaction_of_the_instance(
    unsaved, staging_is_a_file
):
    photo = unsaved(AsyncImageModelForm, instance=None)

    with pytest.raises(FileExistsError), transaction.atomic(using="other"):
        photo.save(False, False, "other")

    assert not Photo.objects.using("other").exists()


# Other ways of calling it


def test_a_save_with_fewer_parameters_is_called_as_it_is(base, in_memory):
    form_for(base, Narrow, {"title": "Dune"}, {"image": in_memory("new.jpg")}).save()
    save_pending_uploads()
    assert names(Narrow) == ["habits/new.jpg"]

    files = {"image": in_memory("newer.jpg")}
    narrow = form_for(base, Narrow, {"title": "Arrakis"}, files, Narrow.objects.get())
    narrow.save(commit=False).save(update_fields=["title"])
    save_pending_uploads()
    assert names(Narrow) == ["habits/new.jpg"]


# Models


@pytest.mark.parametrize("has_old", [True, False], ids=["update", "create"])
@pytest.mark.parametrize("sends", [True, False], ids=["with an image", "without"])
def test_a_model_that_selects_on_save_is_saved(base, has_old, sends, in_memory):
    old = Selected.objects.create(title="Old", image=in_memory("old.jpg")) if has_old else None
    files = {"image": in_memory("new.jpg")} if sends else {}
    form_for(base, Selected, {"title": "Dune"}, files, old).save()
    save_pending_uploads()

    expected = "habits/new.jpg" if sends else "habits/old.jpg" if has_old else ""
    assert (Selected.objects.get().title, names(Selected)) == ("Dune", [expected])


def test_a_model_that_selects_on_save_is_inserted_if_it_was_deleted_meanwhile(base, in_memory):
    old = Selected.objects.create(title="Old", image=in_memory("old.jpg"))
    form = form_for(base, Selected, {"title": "Dune"}, {}, old)
    assert form.is_valid()
    Selected.objects.all().delete()

    form.save()

    assert (Selected.objects.get().title, names(Selected)) == ("Dune", ["habits/old.jpg"])


@pytest.mark.parametrize("has_old", [True, False], ids=["update", "create"])
def test_a_child_that_selects_on_save_is_saved_with_both_images(base, has_old, in_memory):
    old = None
    if has_old:
        images = {"image": in_memory("old.jpg"), "menu": in_memory("old-menu.jpg")}
        old = SelectedChild.objects.create(title="Old", **images)
    files = {"image": in_memory("new.jpg"), "menu": in_memory("menu.jpg")}
    form_for(base, SelectedChild, {"title": "Dune"}, files, old).save()
    save_pending_uploads()

    found = SelectedChild.objects.get()
    assert found.title == "Dune"
    assert (found.image.name, found.menu.name) == ("habits/new.jpg", "habits/menu.jpg")


def test_a_key_that_the_model_chooses_is_inserted_with_the_image(base, in_memory):
    form_for(base, DefaultKeyed, {"title": "Dune"}, {"image": in_memory("new.jpg")}).save()
    save_pending_uploads()

    assert names(DefaultKeyed) == ["habits/new.jpg"]


def test_a_key_that_the_view_chooses_updates_the_row_that_has_it(base, in_memory):
    DefaultKeyed.objects.create(key="dune", title="Old", image=in_memory("old.jpg"))
    files = {"image": in_memory("new.jpg")}
    keyed = form_for(base, DefaultKeyed, {"title": "Dune"}, files).save(commit=False)
    keyed.key, keyed._state.adding = "dune", False
    keyed.save()
    save_pending_uploads()

    assert (DefaultKeyed.objects.get().title, names(DefaultKeyed)) == ("Dune", ["habits/new.jpg"])


@pytest.mark.parametrize("sends", [True, False], ids=["with an image", "without"])
def test_a_chosen_key_of_a_new_instance_overwrites_the_row_that_has_it(base, sends, in_memory):
    Slugged.objects.create(slug="dune", image=in_memory("old.jpg"))
    files = {"image": in_memory("new.jpg")} if sends else {}
    slugged = form_for(base, Slugged, {}, files, None, ["image"]).save(commit=False)
    slugged.slug = "dune"
    slugged.save()
    save_pending_uploads()

    assert names(Slugged) == ["slugged/new.jpg" if sends else ""]


def test_a_uuid_that_is_set_as_text_is_saved_with_its_image(base, in_memory):
    keyed = form_for(base, Keyed, {}, {"image": in_memory("new.jpg")}).save(commit=False)
    keyed.pk = "8f14e45f-ceea-467f-a8c5-52d54d6b3ad4"
    keyed.save()
    save_pending_uploads()

    assert names(Keyed) == ["keyed/new.jpg"]


def test_a_proxy_is_updated_with_its_image(base, in_memory):
    Place.objects.create(name="Old", image=in_memory("old.jpg"))
    files = {"image": in_memory("new.jpg")}
    proxy = form_for(base, PlaceProxy, {"name": "Sietch"}, files, PlaceProxy.objects.get())
    proxy.save(commit=False).save(update_fields=iter(["image"]))
    save_pending_uploads()

    assert (Place.objects.get().name, names(Place)) == ("Old", ["places/new.jpg"])


def test_a_proxy_whose_validation_replaces_the_image_saves_only_that(base, in_memory):
    old = Retouched.objects.create(title="Old", image=in_memory("old.jpg"))
    retouched = form_for(base, Retouched, {"title": "Dune"}, {"image": in_memory()}, old)
    retouched.save(commit=False).save(update_fields=["image"])
    save_pending_uploads()

    assert Photo.objects.get().title == "Old"
    assert names() == ["photos/retouched-Dune.jpg"]


# Rollback, and again

ARGUMENTS = [
    {},
    {"update_fields": ["image"]},
    {"update_fields": ("image", "title")},
    {"force_update": True},
    {"using": "default"},
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_a_save_that_was_rolled_back_is_done_again(base, arguments, unsaved):
    photo = unsaved(base)
    roll_back(lambda: photo.save(**arguments))
    photo.save(**arguments)
    save_pending_uploads()

    assert names() == ["photos/new.jpg"]


@pytest.mark.parametrize("arguments", [{}, {"force_insert": True}], ids=str)
def test_an_insert_that_was_rolled_back_is_done_again(base, arguments, unsaved):
    photo = unsaved(base, instance=None)
    roll_back(lambda: photo.save(**arguments))
    photo.save(force_insert=True)
    save_pending_uploads()

    assert names() == ["photos/new.jpg", "photos/old.jpg"]


def test_a_child_that_was_rolled_back_is_inserted_again(base, in_memory):
    files = {"image": in_memory("new.jpg"), "menu": in_memory("menu.jpg")}
    restaurant = form_for(base, Restaurant, {"name": "Sietch"}, files).save(commit=False)
    roll_back(restaurant.save)
    restaurant.save()
    save_pending_uploads()

    found = Restaurant.objects.get()
    assert (found.image.name, found.menu.name) == ("places/new.jpg", "menus/menu.jpg")


def test_a_save_of_the_title_after_a_rollback_of_the_image_keeps_both(base, unsaved):
    photo = unsaved(base)
    roll_back(lambda: photo.save(update_fields=["image"]))
    photo.save(update_fields=["title"])
    photo.save(update_fields=["image"])
    save_pending_uploads()

    assert (Photo.objects.get().title, names()) == ("Dune", ["photos/new.jpg"])


def test_a_rollback_and_a_save_stage_the_image_once(unsaved, old, in_memory):
    form = async_form(Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old)
    photo = form.save(commit=False)
    roll_back(photo.save)
    photo.save()
    photo.save()

    assert Upload.objects.count() == 1


def test_an_image_that_was_not_written_and_is_then_taken_off_is_not_saved(base, in_memory):
    old = OnlyImages.objects.create(front=in_memory("old.jpg"), back=in_memory("back.jpg"))
    unsaved = form_for(base, OnlyImages, {}, {"front": in_memory("new.jpg")}, old).save(
        commit=False
    )
    unsaved.save(update_fields=["back"])
    unsaved.front = ""
    unsaved.save()
    save_pending_uploads()

    assert OnlyImages.objects.get().front.name == ""
