"""A project's own fields, names, storages and save() store the same as with a plain form."""

import os
import re

import pytest
from django.conf import settings
from django.core.files.storage import FileSystemStorage
from django.forms import modelform_factory

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from tests import pictures
from tests.both import async_form
from tests.worker import wait_until, wait_until_no_upload_is_left, work_on

from .conftest import files_in, with_worker
from .models.own import (
    Frozen,
    Gallery,
    Grey,
    Named,
    SmallBeforeSave,
    SmallBySignal,
    SmallInPlace,
    Unlucky,
    Upper,
    Versioned,
)

pytestmark = pytest.mark.django_db


def test_a_plain_file_of_a_custom_field_is_stored_as_for_a_plain_form(alike, in_memory):
    def case(way):
        files = {"text": in_memory("dune.txt", b"a sea of sand")}
        form_class = modelform_factory(Upper, way.form_class, fields=["text"])
        form_class.async_fields = ["text"]
        form_class({}, files).save()
        way.work()

    ours = alike(case, Upper)

    assert ours.files == {"upper/DUNE.TXT": b"A SEA OF SAND"}
    assert ours.uploads == 1


def test_a_name_is_made_from_related_objects(alike):
    def case(way):
        gallery = Gallery.objects.create(name="sand")
        data = {"title": "Dune", "gallery": gallery.pk}
        way.save(Named, data, {"image": way.upload()})

    ours = alike(case, Named)

    assert ours.columns[0]["image"] == "galleries/sand/Dune/dune.jpg"


def test_a_name_is_made_from_the_related_objects_as_they_are_in_the_worker(in_memory):
    gallery = Gallery.objects.create(name="sand")
    async_form(Named, {"gallery": gallery.pk}, {"image": in_memory()}).save()

    Gallery.objects.update(name="snow")
    save_pending_uploads()

    assert Named.objects.get().image.name.startswith("galleries/snow/")


def test_a_random_name_is_made_once(in_memory, media):
    async_form(Named, {}, {"chance": in_memory()}).save()

    save_pending_uploads()

    assert re.fullmatch(r"chance/[0-9a-f]{32}\.jpg", Named.objects.get().chance.name)
    assert [path.name for path in (media / "chance").iterdir()] == [
        Named.objects.get().chance.name.removeprefix("chance/")
    ]


def test_a_storage_that_a_callable_chooses_gets_the_image(in_memory, media):
    data = pictures.jpeg()
    async_form(Named, {}, {"chance": in_memory(data=data)}).save()
    assert not media.exists()

    save_pending_uploads()

    assert pictures.stored(Named.objects.get().chance) == data


# Files after an error


class SupersedingStorage(FileSystemStorage):
    """A final storage that stores an image while its upload is discarded."""

    def _save(self, name, content):
        name = super()._save(name, content)
        Upload.objects.all().discard()
        return name


@pytest.mark.parametrize("model", [SmallBeforeSave, SmallBySignal, SmallInPlace])
def test_an_image_that_is_superseded_as_it_is_stored_is_removed(
    model, in_memory, media, use_final_storage
):
    use_final_storage(SupersedingStorage)
    upload = save_image(in_memory(), model.objects.create(), "image")

    work_on(upload)

    assert not model.objects.get().image
    assert not files_in(media)


@pytest.mark.parametrize(
    ("model", "data", "error"),
    [
        (SmallInPlace, b"no image", "cannot identify"),
        (Frozen, pictures.jpeg(), "Frozen.save() did not call"),
        (Unlucky, pictures.jpeg(), "no space left"),
    ],
    ids=["its save() fails afterwards", "its save() saves nothing", "its field fails"],
)
def test_an_image_that_is_stored_and_not_attached_is_pending_and_removed(
    model, data, error, in_memory, media
):
    upload = save_image(in_memory(data=data), model.objects.create(), "image")

    work_on(upload)

    assert error in Upload.objects.get().error
    assert not model.objects.get().image
    assert not files_in(media)


def test_a_copy_that_save_makes_of_the_instance_does_not_get_its_image(both_ways):
    def case(way):
        way.save(Versioned, {"title": "Dune"}, {"image": way.upload()})

    plain, ours = both_ways(case, Versioned)

    def images(stored):
        return sorted((row["is_copy"], row["image"]) for row in stored.columns)

    assert images(ours) == images(plain) == [(False, "versioned/dune.jpg"), (True, "")]
    assert ours.files == plain.files


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(settings.DATABASE == "sqlite", reason="SQLite has one lock for all")
@with_worker
@pytest.mark.parametrize("model", [SmallBeforeSave, SmallBySignal, Grey])
def test_a_form_does_not_wait_for_a_worker_that_is_storing(model, worker, witness, in_memory):
    form_class = modelform_factory(model, AsyncImageModelForm, fields=["title", "image"])
    instance = model.objects.create(title="Old")
    witness.order("hold")
    form_class({"title": "New"}, {"image": in_memory()}, instance=instance).save()
    wait_until(lambda: witness.notes("storing"), "the image is being stored")

    form_class({"title": "Newer"}, instance=model.objects.get()).save()

    assert not witness.notes("stored")
    witness.withdraw("hold")
    wait_until_no_upload_is_left()
    assert model.objects.get().title == "Newer"
    assert model.objects.get().image


@pytest.mark.django_db(transaction=True)
@with_worker
@pytest.mark.parametrize(("model", "note"), [(Grey, "own-field"), (SmallBeforeSave, "own-save")])
def test_only_a_worker_does_the_work_of_own_fields(model, note, worker, witness, in_memory):
    async_form(model, {}, {"image": in_memory()}).save()
    wait_until_no_upload_is_left()

    [(process, group)] = witness.notes(note)
    assert process != os.getpid()
    assert group == worker.group
