"""django-dirtyfields: an instance is clean after its form, and the worker's has a dirty image."""

import pytest

from django_async_forms.models import Upload
from django_async_forms.signals import image_saved
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.both import async_form

from . import libraries

libraries.need("django-dirtyfields")

from .models.dirty import Watched  # noqa: E402

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def seen():
    """The dirty fields that a receiver of pre_save finds."""
    Watched.seen.clear()
    return Watched.seen


@pytest.fixture
def watched(in_memory):
    """An instance with an image, as a view loads it."""
    made = Watched.objects.create(title="Old", image=in_memory("old.jpg"))
    Watched.seen.clear()
    return Watched.objects.get(pk=made.pk)


@pytest.mark.parametrize("is_new", [True, False])
def test_the_saved_instance_is_clean(is_new, watched, new):
    instance = async_form(Watched, *new, None if is_new else watched).save()

    assert not instance.is_dirty()


def test_the_request_finds_the_title_dirty_and_not_the_image(watched, seen, new):
    async_form(Watched, *new, watched).save()

    assert seen == [{"title": "Old"}]


def test_the_worker_finds_the_image_dirty_and_nothing_else(watched, seen, new):
    async_form(Watched, *new, watched).save()
    seen.clear()

    save_pending_uploads()

    assert seen == [{"image": "watched/old.jpg"}]


def test_the_instance_that_the_image_was_attached_to_is_clean(connect, watched, new):
    found = []

    def look(instance, **kwargs):
        found.append(instance.get_dirty_fields())

    connect(image_saved, look, Watched)
    async_form(Watched, *new, watched).save()
    save_pending_uploads()

    assert found == [{}]


def test_a_form_that_is_not_committed_leaves_both_dirty_as_a_plain_form_does(watched, new):
    form = async_form(Watched, *new, watched)

    instance = form.save(commit=False)

    assert instance.get_dirty_fields() == {"title": "Old", "image": "watched/old.jpg"}


def test_saving_the_dirty_fields_saves_the_title_and_stages_the_image(watched, in_memory):
    data = pictures.jpeg()
    form = async_form(Watched, {"title": "New"}, {"image": in_memory("new.jpg", data)}, watched)

    form.save(commit=False).save_dirty_fields()

    assert Watched.objects.get().title == "New"
    assert Watched.objects.get().image.name == "watched/old.jpg"
    save_pending_uploads()
    assert pictures.stored(Watched.objects.get().image) == data


def test_saving_the_dirty_fields_of_a_new_instance_stages_its_image(in_memory):
    form = async_form(Watched, {"title": "Dune"}, {"image": in_memory()})
    form.save(commit=False).save_dirty_fields()

    assert save_pending_uploads() == 1
    assert Watched.objects.get().image.name == "watched/dune.jpg"


def test_saving_the_dirty_fields_later_leaves_the_attached_image(watched, new):
    instance = async_form(Watched, *new, watched).save()
    save_pending_uploads()

    instance.title = "Newer"
    instance.save_dirty_fields()

    assert Watched.objects.get().title == "Newer"
    assert Watched.objects.get().image.name == "watched/new.jpg"


def test_a_copy_from_the_database_is_clean_after_the_image_was_attached(watched, new):
    instance = async_form(Watched, *new, watched).save()
    save_pending_uploads()

    instance.refresh_from_db()

    assert instance.image.name == "watched/new.jpg"
    assert not instance.is_dirty()


def test_an_image_that_was_cleared_is_clean_and_nothing_is_pending(watched):
    clear = {"title": "Old", "image-clear": "on"}
    instance = async_form(Watched, clear, {}, watched, ["title", "image"]).save()

    assert not instance.is_dirty()
    assert Watched.objects.get().image.name == ""
    assert not Upload.objects.exists()


def test_the_stored_rows_and_files_are_those_of_a_plain_form(alike):
    def case(way):
        instance = way.save(Watched, {"title": "Old"}, {"image": way.upload("old.jpg", seed=1)})
        upload = {"image": way.upload("new.jpg", seed=2)}
        way.form(Watched, {"title": "New"}, upload, instance).save(commit=False).save_dirty_fields()
        way.work()

    alike(case, Watched)
