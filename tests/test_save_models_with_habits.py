"""
The work of an overridden save() on its image ends as in plain Django.

Each test runs with Django's own form, which defines the right result, and with ours.
"""

import pytest
from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models.signals import post_save, pre_save

from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.both import form_for, without_chance
from tests.habits.models import (
    Converted,
    ConvertedAtOnce,
    NamedByTitle,
    StoredInTwoSaves,
    Tidy,
    Unwilling,
    Upserted,
)
from tests.project.models import Document, Photo

pytestmark = pytest.mark.django_db

MODELS = [Converted, ConvertedAtOnce, NamedByTitle, StoredInTwoSaves, Tidy, Unwilling, Upserted]
NAMES = {Converted: "converted.png", ConvertedAtOnce: "own.jpg", NamedByTitle: "Dune.jpg"}

any_model = pytest.mark.parametrize("model", MODELS)


def stored(media):
    return sorted(without_chance(path.name) for path in media.rglob("*") if path.is_file())


def image(model):
    name = without_chance(model.objects.get().image.name)
    assert name == "" or name.startswith("habits/")
    return name.rpartition("/")[2]


def work():
    save_pending_uploads()
    assert not Upload.objects.exists()


@pytest.fixture
def make_old(media):
    """Makes an instance with an image, without its save()."""

    def make(model):
        old = model(title="Old")
        old.image.save("old.jpg", ContentFile(pictures.jpeg(), name="old.jpg"), save=False)
        model.objects.bulk_create([old])
        return model.objects.get()

    return make


@any_model
def test_a_model_with_a_habit_is_created_with_its_image(base, model, in_memory):
    form_for(base, model, {"title": "Dune"}, {"image": in_memory("new.jpg")}).save()
    work()

    assert (model.objects.get().title, image(model)) == ("Dune", NAMES.get(model, "new.jpg"))


@any_model
def test_a_model_with_a_habit_is_updated_with_its_image(base, model, make_old, in_memory, media):
    old = make_old(model)
    form_for(base, model, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    work()

    assert (model.objects.get().title, image(model)) == ("Dune", NAMES.get(model, "new.jpg"))
    assert model.objects.get().image.storage.exists(model.objects.get().image.name)
    expected = {NAMES.get(model, "new.jpg"), "old.jpg"} - ({"old.jpg"} if model is Tidy else set())
    assert set(stored(media)) == expected


@any_model
def test_a_model_with_a_habit_keeps_its_image_when_its_title_changes(base, model, make_old, media):
    form_for(base, model, {"title": "Dune"}, instance=make_old(model)).save()
    work()

    assert (model.objects.get().title, image(model)) == ("Dune", "old.jpg")
    assert stored(media) == ["old.jpg"]


@any_model
def test_a_model_with_a_habit_is_cleared(base, model, make_old, media):
    data = {"title": "Dune", "image-clear": "on"}
    form_for(base, model, data, {}, make_old(model), ["title", "image"]).save()
    work()

    assert (model.objects.get().title, image(model)) == ("Dune", "")
    assert stored(media) == ([] if model is Tidy else ["old.jpg"])


@any_model
def test_a_model_with_a_habit_is_saved_again_after_the_worker(base, model, make_old, in_memory):
    files = {"image": in_memory("new.jpg")}
    saved = form_for(base, model, {"title": "Dune"}, files, make_old(model)).save()
    work()
    saved.title = "Arrakis"
    saved.save()
    work()

    assert (model.objects.get().title, image(model)) == ("Arrakis", NAMES.get(model, "new.jpg"))


@any_model
def test_a_model_with_a_habit_gets_the_newer_of_two_images(base, model, in_memory):
    files = {"image": in_memory("first.jpg")}
    loaded = model.objects.get(pk=form_for(base, model, {"title": "Dune"}, files).save().pk)
    files = {"image": in_memory("second.jpg", pictures.jpeg(20, 10))}
    form_for(base, model, {"title": "Dune"}, files, loaded).save()
    work()

    assert image(model) == NAMES.get(model, "second.jpg")
    assert model.objects.get().image.width == 20


@any_model
def test_a_model_with_a_habit_is_saved_again_after_a_rollback(base, model, make_old, in_memory):
    files = {"image": in_memory("new.jpg")}
    form = form_for(base, model, {"title": "Dune"}, files, make_old(model))
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        form.save()
        raise ZeroDivisionError
    form.save()
    work()

    assert (model.objects.get().title, image(model)) == ("Dune", NAMES.get(model, "new.jpg"))


def test_a_model_that_was_not_saved_is_saved_with_its_image_later(base, in_memory):
    form = form_for(base, Unwilling, {"title": "draft"}, {"image": in_memory("new.jpg")})
    unwilling = form.save()
    assert not Unwilling.objects.exists()

    unwilling.title = "Dune"
    unwilling.save()
    work()

    assert image(Unwilling) == "new.jpg"


# Receivers with the same habits


@pytest.mark.parametrize("has_old", [True, False], ids=["update", "create"])
def test_a_receiver_that_removes_the_old_file_removes_that_only(
    connect, base, has_old, in_memory, media
):
    old = Photo.objects.create(title="Old", image=in_memory("old.jpg")) if has_old else None

    def remember(instance, **kwargs):
        row = Photo.objects.filter(pk=instance.pk).first() if instance.pk else None
        instance.former = row.image if row and row.image else None

    def remove(instance, **kwargs):
        if instance.former and instance.former != instance.image:
            instance.former.delete(save=False)

    connect(pre_save, remember, Photo)
    connect(post_save, remove, Photo)
    form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    work()

    assert stored(media) == ["new.jpg"]
    assert Photo.objects.get().image.name == "photos/new.jpg"


def test_a_form_whose_file_no_worker_saves_is_saved_with_its_image(base, in_memory):
    files = {"file": ContentFile(b"report", name="report.txt"), "scan": in_memory("scan.jpg")}
    saved = form_for(base, Document, {"title": "Report"}, files).save()
    assert saved.file.name == "documents/report.txt"
    work()

    document = Document.objects.get()
    assert (document.file.name, document.scan.name) == ("documents/report.txt", "scans/scan.jpg")
    assert pictures.stored(document.file) == b"report"


@pytest.mark.django_db(transaction=True)
def test_a_view_saves_a_form_in_a_durable_block(base, in_memory):
    with transaction.atomic(durable=True):
        form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}).save()
    work()

    assert Photo.objects.get().image.name == "photos/new.jpg"
