"""django-model-utils: FieldTracker sees the new image when it is attached, and its save() works."""

import pytest
from django.utils import timezone

from django_async_forms.test import save_pending_uploads
from tests.both import async_form

from . import libraries

libraries.need("django-model-utils")

from .models.tracker import Stamped, Tracked  # noqa: E402

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def seen():
    """The changes that a receiver of post_save finds."""
    Tracked.seen.clear()
    return Tracked.seen


def test_the_new_image_of_an_instance_is_seen_when_it_is_attached(seen, in_memory):
    async_form(Tracked, {"title": "Dune"}, {"image": in_memory()}).save()
    seen.clear()

    save_pending_uploads()

    assert seen == [("", "tracked/dune.jpg")]


def test_the_old_and_the_new_image_are_seen_when_that_is_attached(seen, in_memory, new):
    tracked = Tracked.objects.create(title="Old", image=in_memory("old.jpg"))
    seen.clear()

    async_form(Tracked, *new, tracked).save()
    assert seen == []

    save_pending_uploads()
    assert seen == [("tracked/old.jpg", "tracked/new.jpg")]


def test_the_request_sees_that_the_title_has_changed(in_memory, new):
    tracked = Tracked.objects.create(title="Old", image=in_memory("old.jpg"))
    form = async_form(Tracked, *new, tracked)

    instance = form.save(commit=False)

    assert instance.tracker.changed()["title"] == "Old"
    instance.save()
    assert not instance.tracker.has_changed("title")


def test_the_saved_instance_has_no_changed_image(in_memory, new):
    tracked = Tracked.objects.create(title="Old", image=in_memory("old.jpg"))

    instance = async_form(Tracked, *new, tracked).save()

    assert instance.image.name == "tracked/old.jpg"
    assert not instance.tracker.has_changed("image")


def test_the_stored_rows_and_files_are_those_of_a_plain_form(alike):
    def case(way):
        way.replace(Tracked)

    alike(case, Tracked)


def test_a_time_stamp_of_each_save_says_when_the_form_was_saved(in_memory):
    async_form(Stamped, {"title": "Dune"}, {"image": in_memory()}).save()
    before = timezone.now()

    save_pending_uploads()

    stamped = Stamped.objects.get()
    assert stamped.image.name == "stamped/dune.jpg"
    assert stamped.modified < before
