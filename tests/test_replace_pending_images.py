"""
Other code changes an instance while its image is pending: the newest state wins, whoever set it.

The worker looks at the column when it begins, and when it has stored the image.
"""

import os

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db.models.signals import post_save

from django_async_forms.models import Upload
from django_async_forms.signals import image_saved
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.both import async_form, form_for, without_chance
from tests.habits.models import (
    Counted,
    Followed,
    Preparing,
    Refreshed,
    SavedTwice,
    SavedTwiceWhole,
    Searched,
    Stamped,
    Versioned,
    Working,
)
from tests.project.models import ByKey, Measured, OnlyImages, Photo, Place, Restaurant
from tests.worker import work_on

pytestmark = pytest.mark.django_db

#: For tests with a change while a worker stores. In the transaction of a test, the change would be
#: undone with the attempt.
committed = pytest.mark.django_db(transaction=True)

#: The functions that the storage calls before and after it stores the next image. Each test sets
#: them.
behaviour = {}


class Behaving(FileSystemStorage):
    def _save(self, name, content):
        behaviour.pop("before", lambda: None)()
        name = super()._save(name, content)
        behaviour.pop("after", lambda: None)()
        return name


class Timeless(Behaving):
    """Cannot tell when a file was stored."""

    def get_modified_time(self, name):
        raise NotImplementedError


@pytest.fixture(autouse=True)
def final_storage(use_final_storage):
    behaviour.clear()
    use_final_storage(Behaving)


@pytest.fixture
def old():
    """An instance with an image and its dimensions."""
    image = ContentFile(pictures.jpeg(64, 48), name="old.jpg")
    return Measured.objects.create(title="Old", image=image)


@pytest.fixture
def pending(old, in_memory):
    """The upload of a new image for that instance."""
    files = {"image": in_memory("pending.jpg", pictures.jpeg(80, 40))}
    async_form(Measured, {"title": "Dune"}, files, old).save()
    return Upload.objects.get()


def image():
    measured = Measured.objects.get()
    return without_chance(measured.image.name).rpartition("/")[2], measured.width


def files(media):
    return sorted(without_chance(path.name) for path in media.rglob("*") if path.is_file())


# Changes by other code


def store_a_newer_one():
    newer = ContentFile(pictures.jpeg(20, 10), name="newer.jpg")
    Measured.objects.get().image.save("newer.jpg", newer)


def assign_a_newer_one():
    measured = Measured.objects.get()
    measured.image = ContentFile(pictures.jpeg(20, 10), name="newer.jpg")
    measured.save()


def save_a_newer_one_with_a_form():
    class Synchronous(type(async_form(Measured, {}, fields=["title", "image"]))):
        async_fields = []

    newer = ContentFile(pictures.jpeg(20, 10), name="newer.jpg")
    Synchronous({"title": "Newer"}, {"image": newer}, instance=Measured.objects.get()).save()


def delete_it():
    Measured.objects.get().image.delete()


def empty_the_column():
    Measured.objects.update(image="", width=None, height=None)


def assign_none():
    measured = Measured.objects.get()
    measured.image = None
    measured.save()


def post_a_newer_one():
    newer = ContentFile(pictures.jpeg(20, 10), name="newer.jpg")
    async_form(Measured, {"title": "Dune"}, {"image": newer}, Measured.objects.get()).save()


def clear_it_with_a_form():
    data = {"title": "Dune", "image-clear": "on"}
    async_form(Measured, data, {}, Measured.objects.get(), ["title", "image"]).save()


def delete_the_instance():
    Measured.objects.get().delete()


NEWER = {
    store_a_newer_one: ("newer.jpg", 20),
    assign_a_newer_one: ("newer.jpg", 20),
    save_a_newer_one_with_a_form: ("newer.jpg", 20),
    delete_it: ("", None),
    empty_the_column: ("", None),
    assign_none: ("", None),
}
newer = pytest.mark.parametrize("change", NEWER)


@newer
def test_a_newer_state_from_before_the_attempt_wins(change, pending):
    change()

    work_on(pending)

    assert image() == NEWER[change]
    assert not Upload.objects.exists()


@pytest.mark.parametrize(
    ("change", "how", "not_how"),
    [
        (post_a_newer_one, "superseded by a newer state", "discarded"),
        (save_a_newer_one_with_a_form, "superseded by a newer state", "discarded"),
        (clear_it_with_a_form, "discarded", "superseded"),
        (delete_the_instance, "discarded", "superseded"),
    ],
)
def test_the_log_tells_whether_an_upload_was_superseded_or_discarded(
    change, how, not_how, pending, caplog
):
    caplog.set_level("INFO")

    change()

    assert f"Upload {pending.pk}: {how}." in caplog.text
    assert f"Upload {pending.pk}: {not_how}" not in caplog.text


@committed
@pytest.mark.parametrize(
    "change",
    [store_a_newer_one, save_a_newer_one_with_a_form, delete_it, empty_the_column],
)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_newer_state_that_comes_while_the_worker_stores_wins(change, moment, pending, media):
    behaviour[moment] = change

    work_on(pending)

    assert image() == NEWER[change]
    assert not Upload.objects.exists()
    assert "pending.jpg" not in files(media)


@pytest.mark.parametrize(
    "change",
    [store_a_newer_one, assign_a_newer_one, save_a_newer_one_with_a_form],
)
def test_a_newer_image_of_an_instance_that_had_none_wins(change, in_memory, media):
    async_form(Measured, {"title": "Dune"}, {"image": in_memory("pending.jpg")}).save()
    change()

    save_pending_uploads()

    assert image() == ("newer.jpg", 20)
    assert files(media) == ["newer.jpg"]


@committed
def test_a_newer_state_wins_over_an_attempt_that_is_tried_again(pending, media):
    def fail():
        store_a_newer_one()
        raise OSError("the storage is away")

    behaviour["after"] = fail
    work_on(pending)

    assert image() == ("newer.jpg", 20)
    assert not Upload.objects.exists()


@committed
def test_image_saved_is_not_sent_for_a_newer_state(connect, pending):
    sent = []

    def receive(**kwargs):
        sent.append(kwargs)

    behaviour["before"] = store_a_newer_one
    connect(image_saved, receive)
    work_on(pending)

    assert sent == []


def test_a_column_that_is_null_by_now_is_a_newer_state(in_memory):
    old = ByKey.objects.create(title="Old", image=in_memory("old.jpg"))
    async_form(ByKey, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    ByKey.objects.update(image=None)

    save_pending_uploads()

    assert not ByKey.objects.get().image
    assert not Upload.objects.exists()


def test_an_image_replaces_null_that_stays(in_memory):
    old = ByKey.objects.create(title="Old", image=None)
    async_form(ByKey, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()

    save_pending_uploads()

    assert ByKey.objects.get().image.name == f"by-key/{old.pk}/new.jpg"


def set_back_to(name, age):
    """Write the name of a file to the column that was stored ``seconds`` ago."""
    storage = Measured.objects.get().image.storage
    stored = storage.save(name, ContentFile(pictures.jpeg(30, 15)))
    moment = os.stat(storage.path(stored)).st_mtime - age
    os.utime(storage.path(stored), (moment, moment))
    Measured.objects.update(image=stored)


def test_an_older_file_is_a_stale_write_and_the_image_is_attached(pending):
    set_back_to("measured/earlier.jpg", age=3600)

    work_on(pending)

    assert image() == ("pending.jpg", 80)
    assert not Upload.objects.exists()


@committed
def test_an_older_file_that_comes_while_the_worker_stores_is_a_stale_write(pending):
    behaviour["before"] = lambda: set_back_to("measured/earlier.jpg", age=3600)

    work_on(pending)

    assert image() == ("pending.jpg", 80)
    assert not Upload.objects.exists()


def test_a_stale_write_of_the_whole_instance_is_undone(pending, old):
    set_back_to("measured/earlier.jpg", age=3600)
    stale = Measured.objects.get()
    Measured.objects.update(image=pending.held)
    stale.save()

    work_on(pending)

    assert image() == ("pending.jpg", 80)


def test_a_name_without_a_file_cannot_be_dated_so_the_upload_is_kept(pending):
    Measured.objects.update(image="measured/nowhere.jpg")

    work_on(pending)

    failed = Upload.objects.failed().get()
    assert "measured/nowhere.jpg" in failed.error
    assert failed.attempts == 1
    assert image()[0] == "nowhere.jpg"


def test_a_storage_that_knows_no_time_has_the_upload_kept(pending, use_final_storage):
    use_final_storage(Timeless)
    store_a_newer_one()

    work_on(pending)

    assert "cannot tell which is newer" in Upload.objects.failed().get().error
    assert image() == ("newer.jpg", 20)


def test_a_storage_that_knows_no_time_attaches_where_nothing_has_changed(
    pending, use_final_storage
):
    use_final_storage(Timeless)

    work_on(pending)

    assert image() == ("pending.jpg", 80)


def test_an_upload_that_was_kept_is_attached_once_the_column_is_changed_back(pending):
    Measured.objects.update(image="measured/nowhere.jpg")
    work_on(pending)
    Measured.objects.update(image=pending.held)
    Upload.objects.get().retry()

    work_on(pending)

    assert image() == ("pending.jpg", 80)


def test_a_name_in_another_case_is_a_change(pending):
    Measured.objects.update(image=pending.held.upper())

    work_on(pending)

    assert image()[0] == "OLD.JPG"
    assert Upload.objects.failed().exists()


def test_a_name_that_is_written_again_is_not_a_change(pending, old):
    Measured.objects.update(image=pending.held)

    work_on(pending)

    assert image() == ("pending.jpg", 80)


def test_another_image_of_the_instance_may_change_meanwhile(in_memory):
    only = OnlyImages.objects.create(front=in_memory("front.jpg"), back=in_memory("back.jpg"))
    async_form(OnlyImages, {}, {"front": in_memory("new.jpg")}, only).save()
    behaviour["before"] = lambda: OnlyImages.objects.update(back="")

    save_pending_uploads()

    found = OnlyImages.objects.get()
    assert (found.front.name, found.back.name) == ("only/new.jpg", "")


def test_a_parents_image_that_is_newer_wins_over_one_for_the_child(in_memory):
    old = Restaurant.objects.create(name="Old", image=in_memory("old.jpg"))
    files = {"image": in_memory("pending.jpg"), "menu": in_memory("menu.jpg")}
    async_form(Restaurant, {"name": "Sietch"}, files, old).save()
    Place.objects.get().image.save("newer.jpg", in_memory("newer.jpg"))

    save_pending_uploads()

    found = Restaurant.objects.get()
    assert (found.image.name, found.menu.name) == ("places/newer.jpg", "menus/menu.jpg")


# Other columns, which an overridden save() derives


@committed
@pytest.mark.parametrize("moment", ["before the worker", "before", "after"])
def test_a_derived_column_follows_a_title_that_is_newer(moment, in_memory):
    async_form(Searched, {"title": "First"}, {"image": in_memory("new.jpg")}).save()

    def edit():
        async_form(Searched, {"title": "Second"}, instance=Searched.objects.get()).save()

    if moment == "before the worker":
        edit()
    else:
        behaviour[moment] = edit
    save_pending_uploads()

    searched = Searched.objects.get()
    assert (searched.title, searched.image.name) == ("Second", "habits/new.jpg")
    assert searched.search.startswith("Second")


def test_a_derived_column_knows_the_new_image(base, in_memory):
    old = Searched.objects.create(title="Old", image=in_memory("old.jpg"))
    form_for(base, Searched, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    save_pending_uploads()

    assert Searched.objects.get().search == "Dune new.jpg"


def test_an_expression_counts_the_save_of_the_request_and_of_the_worker(in_memory):
    old = Counted.objects.create(title="Old")
    async_form(Counted, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    assert Counted.objects.get().saves == 1

    save_pending_uploads()

    counted = Counted.objects.get()
    assert (counted.image.name, counted.saves) == ("habits/new.jpg", 2)


def test_an_expression_continues_the_count_of_others(in_memory):
    old = Counted.objects.create(title="Old")
    async_form(Counted, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    Counted.objects.update(saves=40)

    save_pending_uploads()

    assert Counted.objects.get().saves == 41


def test_a_receiver_in_the_worker_finds_the_value_of_an_expression(connect, in_memory):
    old = Counted.objects.create(title="Old")
    async_form(Counted, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    found = []
    connect(post_save, lambda instance, **kwargs: found.append(instance.saves), Counted)

    save_pending_uploads()

    assert found == [2]


@pytest.mark.parametrize("has_old", [True, False], ids=["update", "create"])
def test_a_field_that_follows_the_image_is_saved_with_it(base, has_old, in_memory):
    old = None
    if has_old:
        old = Followed.objects.create(title="Old", image=in_memory("old.jpg"))
    form_for(base, Followed, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    save_pending_uploads()

    followed = Followed.objects.get()
    assert (followed.image.name, followed.seen) == ("habits/new.jpg", "new.jpg")


def test_a_field_that_sets_itself_at_every_save_is_left_to_the_request(in_memory):
    async_form(Stamped, {"title": "Dune"}, {"image": in_memory("new.jpg")}).save()
    before = Stamped.objects.get().saved_at

    save_pending_uploads()

    stamped = Stamped.objects.get()
    assert (stamped.image.name, stamped.saved_at) == ("habits/new.jpg", before)


@pytest.mark.parametrize("has_old", [True, False], ids=["update", "create"])
@pytest.mark.parametrize("model", [SavedTwice, SavedTwiceWhole, Refreshed, Working, Preparing])
def test_a_model_that_does_more_in_its_save_gets_its_image(base, model, has_old, in_memory, media):
    old = model.objects.create(title="Old", image=in_memory("old.jpg")) if has_old else None
    form_for(base, model, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    save_pending_uploads()

    found = model.objects.get()
    assert (found.title, found.image.name) == ("Dune", "habits/new.jpg")
    assert files(media) == (["new.jpg", "old.jpg"] if has_old else ["new.jpg"])
    assert not Upload.objects.exists()
    if hasattr(found, "number"):
        assert found.number == f"No. {found.pk}"


def test_a_model_that_does_more_in_its_save_is_saved_again_afterwards(base, in_memory):
    for model in (SavedTwice, SavedTwiceWhole, Refreshed, Versioned):
        saved = form_for(base, model, {"title": "Dune"}, {"image": in_memory("new.jpg")}).save()
        save_pending_uploads()
        saved.title = "Arrakis"
        saved.save()

        found = model.objects.get(pk=saved.pk)
        assert (found.title, without_chance(found.image.name)) == ("Arrakis", "habits/new.jpg")


def test_a_model_that_keeps_its_versions_gets_its_image(base, in_memory):
    old = Versioned.objects.create(title="Old", image=in_memory("old.jpg"))
    form_for(base, Versioned, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    save_pending_uploads()

    assert Versioned.objects.get(is_version=False).image.name == "habits/new.jpg"
    first = Versioned.objects.filter(is_version=True).earliest("pk")
    assert (first.title, first.image.name) == ("Old", "habits/old.jpg")


def test_a_receiver_that_saves_a_copy_keeps_the_original_image(connect, base, in_memory):
    def keep(instance, **kwargs):
        if not instance.title.startswith("Copy"):
            Photo(title=f"Copy of {instance.title}", image=instance.image.name).save()

    old = Photo.objects.create(title="Old", image=in_memory("old.jpg"))
    connect(post_save, keep, Photo)
    form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    save_pending_uploads()

    assert Photo.objects.get(title="Dune").image.name == "photos/new.jpg"
    assert Photo.objects.filter(title="Copy of Dune", image="photos/new.jpg").count() == 1


def test_a_model_that_reads_itself_again_after_a_failed_attempt_gets_its_image(in_memory):
    async_form(Refreshed, {"title": "Dune"}, {"image": in_memory("new.jpg")}).save()
    upload = Upload.objects.get()

    def fail():
        raise OSError("the storage is away")

    behaviour["after"] = fail
    work_on(upload)

    assert without_chance(Refreshed.objects.get().image.name) == "habits/new.jpg"
    assert not Upload.objects.exists()
