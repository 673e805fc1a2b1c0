"""django-cleanup removes a replaced file once, and never before the new one is attached."""

import pytest

from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.both import async_form
from tests.worker import wait_until, wait_until_no_upload_is_left, work_on

from . import libraries
from .conftest import with_worker

libraries.need("django-cleanup")

from django_cleanup.signals import cleanup_pre_delete  # noqa: E402

from .models.cleanup import Cleaned  # noqa: E402

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def removed(connect):
    """The names of the removed files, once for each removal."""
    names = []

    def note(file_name, **kwargs):
        names.append(file_name)

    connect(cleanup_pre_delete, note)
    return names


@pytest.fixture
def cleaned(in_memory, removed):
    """An instance with an image."""
    return Cleaned.objects.create(title="Old", image=in_memory("old.jpg"))


def test_the_old_file_is_there_until_the_new_one_is_attached(cleaned, removed, media, new):
    async_form(Cleaned, *new, cleaned).save()

    assert removed == []
    assert (media / "cleaned/old.jpg").exists()


def test_the_old_file_is_removed_once_when_the_new_one_is_attached(cleaned, removed, media, new):
    async_form(Cleaned, *new, cleaned).save()
    save_pending_uploads()

    assert removed == ["cleaned/old.jpg"]
    assert [path.name for path in (media / "cleaned").iterdir()] == ["new.jpg"]


def test_the_old_file_stays_when_the_new_one_cannot_be_attached(
    cleaned, removed, media, settings, new
):
    async_form(Cleaned, *new, cleaned).save()
    settings.MEDIA_ROOT = media / "cleaned/old.jpg"  # A file, so nothing can be stored.
    work_on(Upload.objects.get())

    assert Upload.objects.get().error
    assert removed == []
    assert (media / "cleaned/old.jpg").exists()


def test_the_saved_instance_can_be_saved_again(cleaned, removed, new):
    instance = async_form(Cleaned, *new, cleaned).save()
    save_pending_uploads()
    instance.title = "Newer"
    instance.save()

    assert removed == ["cleaned/old.jpg"]
    assert Cleaned.objects.get().image.name == "cleaned/new.jpg"


def test_a_saved_instance_whose_image_was_read_can_be_saved_again(cleaned, removed, media, new):
    instance = async_form(Cleaned, *new, cleaned).save()
    save_pending_uploads()

    assert instance.image.name == "cleaned/old.jpg"
    instance.save()

    assert removed == ["cleaned/old.jpg"]
    assert (media / "cleaned/new.jpg").exists()


def test_a_file_that_is_cleared_is_removed_once(cleaned, removed, media):
    clear = {"title": "New", "image-clear": "on"}
    async_form(Cleaned, clear, {}, cleaned, ["title", "image"]).save()

    assert removed == ["cleaned/old.jpg"]
    assert not (media / "cleaned/old.jpg").exists()


def test_a_new_title_removes_nothing(cleaned, removed):
    async_form(Cleaned, {"title": "New"}, {}, cleaned, ["title", "image"]).save()

    assert removed == []


def test_a_superseded_upload_leaves_the_old_file_to_the_one_that_wins(cleaned, removed, in_memory):
    for name in ("first.jpg", "second.jpg"):
        instance = Cleaned.objects.get()
        async_form(Cleaned, {"title": "New"}, {"image": in_memory(name)}, instance).save()
    save_pending_uploads()

    assert removed == ["cleaned/old.jpg"]
    assert Cleaned.objects.get().image.name == "cleaned/second.jpg"


def test_deleting_the_instance_removes_its_file(cleaned, removed, new):
    async_form(Cleaned, *new, cleaned).save()
    save_pending_uploads()
    Cleaned.objects.get().delete()

    assert removed == ["cleaned/old.jpg", "cleaned/new.jpg"]
    assert not Upload.objects.exists()


def test_the_remaining_files_are_those_of_a_plain_form(alike):
    def case(way):
        way.replace(Cleaned)
        way.save(Cleaned, {"title": "Newer"}, {}, Cleaned.objects.get())

    alike(case, Cleaned)


@with_worker
def test_the_old_file_is_removed_by_a_worker(worker, removed, in_memory, settings):
    data = pictures.jpeg()
    cleaned = Cleaned.objects.create(title="Old", image=in_memory("old.jpg"))
    old = settings.MEDIA_ROOT / cleaned.image.name

    async_form(Cleaned, {"title": "New"}, {"image": in_memory("new.jpg", data)}, cleaned).save()
    wait_until_no_upload_is_left()

    assert pictures.stored(Cleaned.objects.get().image) == data
    wait_until(lambda: not old.exists(), "the old file is removed")
    assert removed == []  # Not in this process.
