"""django-lifecycle calls the hooks of an image in the worker, once the image is attached."""

import pytest

from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests.both import async_form
from tests.worker import wait_until_no_upload_is_left, work_on

from . import libraries
from .conftest import with_worker

libraries.need("django-lifecycle")

from .models.lifecycle import Hooked, Titled  # noqa: E402

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def seen(monkeypatch):
    """The calls of the hooks, with the images that they have seen."""
    monkeypatch.setattr(Hooked, "error", None)
    Hooked.seen.clear()
    Titled.seen.clear()
    return Hooked.seen


@pytest.fixture
def hooked(in_memory):
    """An instance with an image, as a view loads it."""
    made = Hooked.objects.create(title="Old", slug="old.jpg", image=in_memory("old.jpg"))
    Hooked.seen.clear()
    return Hooked.objects.get(pk=made.pk)


def test_the_request_calls_no_hook_for_a_pending_image(hooked, seen, new):
    async_form(Hooked, *new, hooked).save()

    assert seen == []


def test_the_worker_calls_the_hooks_of_the_image(hooked, seen, new):
    async_form(Hooked, *new, hooked).save()

    save_pending_uploads()

    assert seen == [
        ("before", "hooked/old.jpg", "new.jpg"),
        ("after", "hooked/old.jpg", "hooked/new.jpg"),
        ("committed", "hooked/old.jpg", "hooked/new.jpg"),
    ]


def test_the_hooks_are_called_with_the_same_values_as_for_a_plain_form(alike, seen):
    calls = []

    def case(way):
        seen.clear()
        way.replace(Hooked)
        way.save(Hooked, {"title": "Newer"}, {}, Hooked.objects.get())
        calls.append(list(seen))

    alike(case, Hooked)
    assert calls[0] == calls[1]
    assert len(calls[0]) == 6


def test_the_column_that_a_hook_sets_is_written_with_the_image(hooked, new):
    async_form(Hooked, *new, hooked).save()
    assert Hooked.objects.get().slug == "old.jpg"

    save_pending_uploads()

    assert Hooked.objects.get().slug == "new.jpg"


def test_clearing_calls_the_hooks_of_the_image_in_the_request(hooked, seen):
    clear = {"title": "Old", "image-clear": "on"}
    async_form(Hooked, clear, {}, hooked, ["title", "image"]).save()

    assert [call for call, _, _ in seen] == ["before", "after", "committed"]


def test_the_hooks_of_the_title_are_called_in_the_request(in_memory):
    async_form(Titled, {"title": "Dune"}, {"image": in_memory()}).save()

    assert Titled.seen == ["Dune", "created"]


def test_the_worker_does_not_call_the_hooks_of_the_title_again(in_memory):
    async_form(Titled, {"title": "Dune"}, {"image": in_memory()}).save()
    Titled.seen.clear()

    save_pending_uploads()

    assert Titled.seen == []


def test_the_saved_instance_has_no_changes(hooked, new):
    instance = async_form(Hooked, *new, hooked).save()

    assert not instance.has_changed("image")
    assert not instance.has_changed("title")


def test_the_saved_instance_can_be_saved_again(hooked, seen, new):
    instance = async_form(Hooked, *new, hooked).save()
    save_pending_uploads()
    seen.clear()

    instance.title = "Newer"
    instance.save()

    assert Hooked.objects.get().image.name == "hooked/new.jpg"
    assert seen == []


@pytest.fixture
def failing(hooked, monkeypatch, new):
    """An upload whose image is stored, and for which a hook fails then."""
    monkeypatch.setattr(Hooked, "error", OSError("The search engine is down."))
    async_form(Hooked, *new, hooked).save()


def test_a_hook_that_fails_after_the_image_was_saved_fails_the_attempt(failing, media):
    work_on(Upload.objects.get())

    assert "The search engine is down." in Upload.objects.get().error
    assert Hooked.objects.get().image.name == "hooked/old.jpg"
    assert [path.name for path in (media / "hooked").iterdir()] == ["old.jpg"]


def test_columns_that_a_failed_attempt_has_set_are_put_back(failing):
    work_on(Upload.objects.get())

    assert Hooked.objects.get().slug == "old.jpg"


def test_the_next_attempt_after_a_failed_hook_attaches_the_image(failing, monkeypatch):
    with pytest.raises(OSError, match="The search engine is down"):
        save_pending_uploads()
    monkeypatch.setattr(Hooked, "error", None)

    save_pending_uploads()

    assert Hooked.objects.get().image.name == "hooked/new.jpg"
    assert Hooked.objects.get().slug == "new.jpg"


@with_worker
def test_a_real_worker_calls_the_hooks_of_the_image(worker, hooked, seen, new):
    async_form(Hooked, *new, hooked).save()

    wait_until_no_upload_is_left()

    assert Hooked.objects.get().slug == "new.jpg"
    assert seen == []  # Not in this process.
