"""
Code that changes an image through the instance's file, at any time, ends as in plain Django.

Old and new values are compared by value: a file by its name, JSON and arrays by their content.
Django's own form defines the right result: a test runs with both forms, or compares their results.
"""

import itertools

import pytest
from django import forms
from django.core.files.base import ContentFile
from django.db.models.signals import pre_save
from django.forms import modelform_factory
from django.utils import timezone

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.both import form_for, roll_back, without_chance
from tests.habits.models import Embedded, Framed, Noting, Thumbnailed, Vector
from tests.project.models import Document, Measured, Photo

pytestmark = pytest.mark.django_db


# Every change, at every moment


def save_without_commit(photo):
    file = ContentFile(pictures.jpeg(80, 40), name="cropped.jpg")
    photo.image.save("cropped.jpg", file, save=False)


def delete_without_commit(photo):
    photo.image.delete(save=False)


def rename(photo):
    photo.image.name = "measured/elsewhere.jpg"


def save(photo):
    photo.image.save("cropped.jpg", ContentFile(pictures.jpeg(80, 40), name="cropped.jpg"))


def delete(photo):
    photo.image.delete()


def assign_none(photo):
    photo.image = None


def assign_nothing(photo):
    photo.image = ""


def assign_a_file(photo):
    photo.image = ContentFile(pictures.jpeg(80, 40), name="cropped.jpg")


def set_the_dimensions(photo):
    photo.width, photo.height = 7, 9


def leave(photo):
    pass


def look(photo):
    assert photo.image.name


CHANGES = [
    save_without_commit,
    delete_without_commit,
    rename,
    save,
    delete,
    assign_none,
    assign_nothing,
    assign_a_file,
    set_the_dimensions,
]


def make_form(base, photo, *, fields=("title", "image"), clean=None, save=None, files=None):
    """Return a form whose own clean() or save() does something to the image."""

    class Form(modelform_factory(Measured, base, fields=list(fields))):
        def clean(self):
            if clean:
                clean(self.instance)
            return super().clean()

        def save(self, commit=True):
            if save:
                save(self.instance)
            return super().save(commit)

    return Form({"title": "Dune"}, files or {}, instance=photo)


def before_the_form(base, photo, change):
    change(photo)
    make_form(base, photo).save()


def before_a_form_of_the_title(base, photo, change):
    change(photo)
    make_form(base, photo, fields=["title"]).save()


def before_it_is_validated(base, photo, change):
    form = make_form(base, photo)
    change(photo)
    form.save()


def in_clean(base, photo, change):
    make_form(base, photo, clean=change).save()


def in_clean_of_a_form_of_the_title(base, photo, change):
    make_form(base, photo, fields=["title"], clean=change).save()


def in_save_of_the_form(base, photo, change):
    make_form(base, photo, save=change).save()


def after_it_is_validated(base, photo, change):
    form = make_form(base, photo)
    assert form.is_valid()
    change(photo)
    form.save()


def without_commit(base, photo, change):
    photo = make_form(base, photo).save(commit=False)
    change(photo)
    photo.save()


def without_commit_of_a_form_of_the_title(base, photo, change):
    photo = make_form(base, photo, fields=["title"]).save(commit=False)
    change(photo)
    photo.save()


def in_a_receiver(base, photo, change):
    if change in (save, delete):
        pytest.skip("It would save itself for ever.")

    def receive(instance, **kwargs):
        change(instance)

    pre_save.connect(receive, sender=Measured)
    try:
        make_form(base, photo).save()
    finally:
        pre_save.disconnect(receive, sender=Measured)


def after_the_form(base, photo, change):
    photo = make_form(base, photo).save()
    change(photo)
    photo.save()


def after_two_forms(base, photo, change):
    photo = make_form(base, photo).save()
    photo = make_form(base, photo, fields=["title"]).save()
    change(photo)
    photo.save()


def between_two_forms(base, photo, change):
    photo = make_form(base, photo).save()
    change(photo)
    make_form(base, photo, fields=["title"]).save()


def after_a_rollback(base, photo, change):
    form = make_form(base, photo)
    roll_back(form.save)
    change(photo)
    form.save()


def before_a_rollback(base, photo, change):
    if change in (save, delete):
        pytest.skip("They have changed the folder, which no rollback brings back.")
    photo = make_form(base, photo).save(commit=False)
    change(photo)
    roll_back(photo.save)
    photo.save()


def before_a_form_that_is_rolled_back(base, photo, change):
    if change in (save, delete):
        pytest.skip("They have changed the folder, which no rollback brings back.")
    change(photo)
    form = make_form(base, photo)
    roll_back(form.save)
    form.save()


#: Moments before the form has put back the old image, which is the instance's own file.
UNTIL_VALIDATION = [before_it_is_validated, in_clean, in_save_of_the_form]

#: Moments before the form is made.
BEFORE = [before_the_form, before_a_form_of_the_title, before_a_form_that_is_rolled_back]

AFTER = [
    in_clean_of_a_form_of_the_title,
    after_it_is_validated,
    without_commit,
    without_commit_of_a_form_of_the_title,
    in_a_receiver,
    after_the_form,
    after_two_forms,
    between_two_forms,
    after_a_rollback,
    before_a_rollback,
]


every_change = pytest.mark.parametrize("change", CHANGES)
no_change = pytest.mark.parametrize("change", [leave, look])
every_moment = pytest.mark.parametrize("moment", [*BEFORE, *UNTIL_VALIDATION, *AFTER])


def columns():
    measured = Measured.objects.get()
    return measured.title, without_chance(measured.image.name), measured.width


@pytest.fixture
def make_old(media):
    """Makes an instance with an image, and another file in the storage."""

    def make(**fields):
        folder = media / "measured"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "elsewhere.jpg").write_bytes(pictures.jpeg(30, 15))
        Measured.objects.all().delete()
        image = ContentFile(pictures.jpeg(64, 48), name="old.jpg")
        return Measured.objects.create(title="Old", image=image, **fields)

    return make


@pytest.fixture
def both_ways(make_old):
    """Does a case with both forms; returns the stored state of Django's own, and of ours."""

    def do(case):
        found = []
        for base in (forms.ModelForm, AsyncImageModelForm):
            case(base, make_old())
            save_pending_uploads()
            found.append(columns())
            assert not Upload.objects.exists()
        return found

    return do


@pytest.fixture
def old(make_old):
    return make_old()


#: The moments before the form has put the old image back, and the changes that are stored by then.
VALIDATED = [save_without_commit, delete_without_commit, save, delete]


@pytest.mark.parametrize(
    ("moment", "change"),
    [
        *itertools.product(AFTER, CHANGES),
        *itertools.product(UNTIL_VALIDATION, VALIDATED),
        *itertools.product([*BEFORE, *UNTIL_VALIDATION, *AFTER], [leave, look]),
    ],
)
def test_a_change_of_the_image_is_written(moment, change, both_ways):
    plain, ours = both_ways(lambda base, old: moment(base, Measured.objects.get(), change))

    assert ours == plain


def send(base, old, in_memory):
    """Save a form with an image, which stays pending."""
    files = {"image": in_memory("sent.jpg", pictures.jpeg(20, 10))}
    form_for(base, Measured, {"title": "Sent"}, files, old).save()


@pytest.mark.parametrize(
    "moment",
    [in_clean_of_a_form_of_the_title, without_commit, without_commit_of_a_form_of_the_title],
)
@every_change
def test_a_change_is_newer_than_an_image_that_is_pending(change, moment, both_ways, in_memory):
    def case(base, old):
        send(base, old, in_memory)
        moment(base, Measured.objects.get(), change)

    plain, ours = both_ways(case)

    # A worker sets the dimensions. An assigned name keeps the width of the image before it.
    assert ours[:2] == plain[:2]


@every_moment
@no_change
def test_a_pending_image_survives_code_that_changes_no_image(change, moment, both_ways, in_memory):
    def case(base, old):
        send(base, old, in_memory)
        moment(base, Measured.objects.get(), change)

    plain, ours = both_ways(case)

    assert ours == plain


@every_change
def test_the_image_of_a_form_is_newer_than_a_change_before_it(change, both_ways, in_memory):
    def case(base, old):
        change(old)
        make_form(base, old, files={"image": in_memory("new.jpg", pictures.jpeg(20, 10))}).save()

    plain, ours = both_ways(case)

    assert ours == plain == ("Dune", f"measured/{timezone.now():%Y}/new.jpg", 20)


@every_change
def test_a_change_after_the_image_of_a_form_wins(change, both_ways, in_memory):
    def case(base, old):
        files = {"image": in_memory("new.jpg", pictures.jpeg(20, 10))}
        photo = make_form(base, old, files=files).save()
        change(photo)
        photo.save()

    plain, ours = both_ways(case)

    assert ours[:2] == plain[:2]


def test_a_plain_file_that_a_view_replaces_is_written(base, in_memory):
    Document.objects.create(title="Old", file=ContentFile(b"old", name="old.txt"))
    document = form_for(base, Document, {"title": "New"}, instance=Document.objects.get())
    document = document.save(commit=False)
    document.file.save("new.txt", ContentFile(b"new"), save=False)
    document.save()

    assert Document.objects.get().file.name == "documents/new.txt"


def test_a_plain_file_that_is_stored_beside_an_image_is_written(base, in_memory):
    Document.objects.create(title="Old", file=ContentFile(b"old", name="old.txt"))
    files = {"file": ContentFile(b"new", name="new.txt"), "scan": in_memory("scan.jpg")}
    form_for(base, Document, {"title": "New"}, files, Document.objects.get()).save()
    save_pending_uploads()

    document = Document.objects.get()
    assert (document.file.name, document.scan.name) == ("documents/new.txt", "scans/scan.jpg")


# An image that is not loaded


@every_change
def test_a_change_of_a_deferred_image_is_written(change, both_ways):
    def case(base, old):
        loaded = Measured.objects.only("title").get()
        photo = form_for(base, Measured, {"title": "Dune"}, instance=loaded).save(commit=False)
        change(photo)
        photo.save()

    plain, ours = both_ways(case)

    assert ours == plain


@pytest.mark.parametrize("when", ["before the form", "after it is validated", "without commit"])
def test_reading_a_deferred_image_discards_nothing(base, when, old, in_memory):
    form_for(base, Measured, {"title": "Sent"}, {"image": in_memory("sent.jpg")}, old).save()
    photo = Measured.objects.only("title").get()
    if when == "before the form":
        look(photo)
    form = form_for(base, Measured, {"title": "Dune"}, instance=photo)
    assert form.is_valid()
    if when == "after it is validated":
        look(photo)
    photo = form.save(commit=False)
    if when == "without commit":
        look(photo)
    photo.save()
    save_pending_uploads()

    assert columns()[1].endswith("/sent.jpg")


def test_reading_the_image_between_two_forms_discards_nothing(base, old, in_memory):
    form_for(base, Measured, {"title": "Sent"}, {"image": in_memory("sent.jpg")}, old).save()
    second = form_for(base, Measured, {"title": "Dune"}, instance=old)
    assert second.is_valid()
    look(old)
    second.save()
    save_pending_uploads()

    assert columns()[1].endswith("/sent.jpg")


# Dimensions that must not be empty


def test_a_second_form_fills_the_title_of_an_instance_with_dimensions(base, in_memory):
    framed = form_for(base, Framed, {}, {"image": in_memory()}).save(commit=False)

    form_for(base, Framed, {"title": "Dune"}, instance=framed).save()
    save_pending_uploads()

    assert list(Framed.objects.values_list("title", "image", "width", "height")) == [
        ("Dune", "habits/dune.jpg", 64, 48)
    ]


def test_an_image_that_the_instance_brought_is_stored_with_its_dimensions(base):
    framed = Framed(image=ContentFile(pictures.jpeg(20, 10), name="made.jpg"))

    form_for(base, Framed, {"title": "Dune"}, {}, framed, ["title", "image"]).save()
    save_pending_uploads()

    assert list(Framed.objects.values_list("title", "image", "width", "height")) == [
        ("Dune", "habits/made.jpg", 20, 10)
    ]


def test_an_update_sets_dimensions_that_must_not_be_empty(base, in_memory):
    old = Framed.objects.create(title="Old", image=in_memory("old.jpg"))
    files = {"image": in_memory("new.jpg", pictures.jpeg(20, 10))}
    form_for(base, Framed, {"title": "Dune"}, files, old).save()
    save_pending_uploads()

    framed = Framed.objects.get()
    assert (framed.image.name, framed.width, framed.height) == ("habits/new.jpg", 20, 10)


# Values that change in place, or cannot be compared with "!="


def test_json_that_an_overridden_save_changes_in_place_is_written(base, in_memory):
    form_for(base, Noting, {"title": "Dune"}, {"image": in_memory("first.jpg")}).save()
    save_pending_uploads()
    assert Noting.objects.get().notes == {"names": ["first.jpg"]}

    files = {"image": in_memory("second.jpg")}
    form_for(base, Noting, {"title": "Dune"}, files, Noting.objects.get()).save()
    save_pending_uploads()

    assert Noting.objects.get().notes == {"names": ["first.jpg", "second.jpg"]}


@pytest.mark.parametrize("before", [None, [1, 2], [80, 40]], ids=["none", "other", "equal"])
def test_an_array_column_does_not_stop_an_image(base, before, in_memory):
    embedding = None if before is None else Vector(before)
    old = Embedded.objects.create(title="Old", image="habits/old.jpg", embedding=embedding)
    files = {"image": in_memory("new.jpg", pictures.jpeg(80, 40))}
    form_for(base, Embedded, {"title": "Dune"}, files, Embedded.objects.get(pk=old.pk)).save()
    save_pending_uploads()

    embedded = Embedded.objects.get()
    assert embedded.image.name == "habits/new.jpg"
    assert embedded.embedding.tolist() == [80, 40]


def test_an_array_is_created_with_its_image(base, in_memory):
    files = {"image": in_memory(data=pictures.jpeg(80, 40))}
    form_for(base, Embedded, {"title": "Dune"}, files).save()
    save_pending_uploads()

    assert Embedded.objects.get().embedding.tolist() == [80, 40]


@pytest.mark.parametrize("has_old", [False, True], ids=["create", "update"])
def test_a_thumbnail_is_written_with_its_own_dimensions(base, has_old, in_memory):
    old = None
    if has_old:
        image = in_memory("old.jpg", pictures.jpeg(48, 64))
        old = Thumbnailed.objects.create(title="Old", image=image)
    form_for(base, Thumbnailed, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    save_pending_uploads()

    found = Thumbnailed.objects.get()
    assert without_chance(found.thumbnail.name) == "thumbnails/small.jpg"
    assert (found.thumbnail_width, found.thumbnail_height) == (16, 12)
    assert found.thumbnail.storage.exists(found.thumbnail.name)


def test_a_name_in_another_case_is_another_name(base, in_memory):
    Photo.objects.create(title="Old", image=in_memory("old.jpg"))
    photo = form_for(base, Photo, {"title": "Dune"}, instance=Photo.objects.get()).save()
    photo.image.name = "photos/OLD.jpg"
    photo.save()

    assert Photo.objects.get().image.name == "photos/OLD.jpg"


# The row while its image is pending


def test_dimensions_that_must_not_be_empty_are_those_of_the_new_image_from_the_start(base):
    image = ContentFile(pictures.jpeg(20, 10), name="made.jpg")
    framed = Framed(image=image, width=1, height=1)

    form_for(base, Framed, {"title": "Dune"}, {}, framed, ["title", "image"]).save()

    assert Framed.objects.values_list("width", "height").get() == (20, 10)
