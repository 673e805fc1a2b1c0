"""Attempts that fail: a worker retries, gives up, and never removes a file that is in use."""

import logging
import os
import random
import re
import threading
import uuid
from contextlib import nullcontext, suppress

import pytest
from celery.exceptions import Retry
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import FileSystemStorage, default_storage
from django.db import OperationalError, connection, connections
from django.db.models.signals import post_save
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_async_forms import delivery
from django_async_forms.attach import attach
from django_async_forms.models import StoredChunk, Upload
from django_async_forms.retries import record_failure
from django_async_forms.signals import image_failed, image_saved
from django_async_forms.tasks import save_image_task
from django_async_forms.uploads import save_image
from tests import pictures
from tests.both import async_form
from tests.habits.models import Thumbnailed
from tests.project.models import Elsewhere, Photo, Restaurant
from tests.threads import Meanwhile
from tests.worker import DEADLINE, work_on

pytestmark = pytest.mark.django_db

#: The functions that the storages of this file call while they save. Each test sets them.
behaviour = {}


class Behaving(FileSystemStorage):
    """A final storage that does something before and after it saves."""

    def _save(self, name, content):
        behaviour.get("before", lambda name: None)(name)
        name = super()._save(name, content)
        behaviour.get("after", lambda name: None)(name)
        return name


@pytest.fixture(autouse=True)
def final_storage(use_final_storage):
    behaviour.clear()
    use_final_storage(Behaving)


@pytest.fixture
def upload(photo, in_memory):
    """A pending image of the photo."""
    return save_image(in_memory(), photo)


@pytest.fixture
def received(connect):
    """The name and the arguments of each signal, in order."""
    sent = []

    def saved(**kwargs):
        sent.append(("saved", kwargs))

    def failed(**kwargs):
        sent.append(("failed", kwargs))

    connect(image_saved, saved)
    connect(image_failed, failed)
    return sent


def meanwhile(moment, function):
    """Have the storage call a function once, "before" or "after" it saves the next image."""

    def call(name):
        del behaviour[moment]
        function()

    behaviour[moment] = call


def fail_times(count, error=None):
    failures = iter([error or OSError("the storage is away")] * count)

    def before(name):
        for failure in failures:
            raise failure

    behaviour["before"] = before


def files(media):
    return sorted(str(path.relative_to(media)) for path in media.rglob("*") if path.is_file())


def test_a_worker_retries_until_the_image_is_saved(photo, in_memory, staging, received):
    data = pictures.jpeg()
    upload = save_image(in_memory(data=data), photo)
    fail_times(3)

    work_on(upload)

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data
    assert not Upload.objects.exists()
    assert [name for name, _ in received] == ["saved"]


def test_an_upload_is_kept_as_failed_after_the_last_attempt(upload, photo, settings, received):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 3}
    fail_times(99)

    work_on(upload)

    failed = Upload.objects.failed().get()
    assert failed.attempts == 3
    assert failed.error == "OSError: the storage is away"
    assert StoredChunk.objects.filter(name=failed.staged).exists()
    ((name, kwargs),) = received
    assert name == "failed"
    assert kwargs["sender"] is Photo
    assert kwargs["instance"] == photo
    assert kwargs["field_name"] == "image"
    assert kwargs["upload"].error == failed.error


def test_the_last_error_can_be_seen_while_an_upload_is_retried(upload):
    seen = []

    def before(name):
        seen.append(Upload.objects.get().error)
        if len(seen) == 1:
            raise OSError("the storage is away")

    behaviour["before"] = before
    work_on(upload)

    assert seen == ["", "OSError: the storage is away"]


def test_the_error_that_an_overridden_save_hides_can_be_seen(upload, monkeypatch, settings):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
    save = Photo.save

    def save_if_possible(self):
        with suppress(OSError):
            save(self)

    monkeypatch.setattr(Photo, "save", save_if_possible)
    fail_times(1)

    work_on(upload)

    assert Upload.objects.failed().get().error == "OSError: the storage is away"


def test_a_failed_upload_can_be_retried(upload, photo, settings):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 2}
    fail_times(2)
    work_on(upload)

    assert delivery.retry(Upload.objects.all()) == 1
    assert Upload.objects.pending().get().attempts == 0
    work_on(upload)

    photo.refresh_from_db()
    assert photo.image


def test_a_message_for_a_failed_upload_does_nothing(upload, settings):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
    fail_times(1)
    work_on(upload)

    work_on(upload)

    assert Upload.objects.failed().count() == 1


def test_a_name_that_the_storage_refuses_is_not_retried(upload):
    fail_times(99, SuspiciousFileOperation("no available filename"))

    work_on(upload)

    assert Upload.objects.failed().get().attempts == 1


def test_an_upload_that_kills_its_workers_ends_as_failed(upload, photo, settings):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 3}
    for _ in range(3):
        Upload.objects.start(upload.pk)  # This worker was killed.

    work_on(upload)

    failed = Upload.objects.failed().get()
    assert "3 attempts ended without reporting an error" in failed.error
    assert failed.attempts == 3
    photo.refresh_from_db()
    assert not photo.image


def test_missing_staged_bytes_are_reported_as_an_error(upload, settings):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
    StoredChunk.objects.all().delete()

    work_on(upload)

    assert upload.staged in Upload.objects.failed().get().error


def test_a_second_message_finds_nothing_to_do(upload, received, media):
    work_on(upload)
    work_on(upload)

    assert len(files(media)) == 1
    assert len(received) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["no uuid", "default"],
        [None, "default"],
        [7, "default"],
        [["a"], "default"],
        [str(uuid.uuid4()), "nowhere"],
        [str(uuid.uuid4()), None],
        [str(uuid.uuid4()), 7],
        [str(uuid.uuid4()), ["default"]],
        [str(uuid.uuid4()), "__class__"],
        [str(uuid.uuid4()), "default"],
    ],
    ids=repr,
)
def test_a_message_without_a_valid_upload_id_is_ignored(arguments):
    assert save_image_task.apply(args=arguments).successful()


def test_image_saved_is_sent_when_the_instance_has_the_image(connect, photo, in_memory):
    seen = []

    def look(instance, **kwargs):
        seen.append(Photo.objects.get().image.name == instance.image.name != "")

    connect(image_saved, look, Photo)
    work_on(save_image(in_memory(), photo))

    assert seen == [True]


def test_a_receiver_that_raises_does_not_stop_the_others(upload, connect, photo, caplog):
    def fail(**kwargs):
        raise ZeroDivisionError

    connect(image_saved, fail)
    work_on(upload)

    photo.refresh_from_db()
    assert photo.image
    assert str(upload.pk) in "".join(
        record.getMessage() for record in caplog.records if record.levelno == logging.ERROR
    )


@pytest.mark.django_db(transaction=True)
def test_the_slower_of_two_workers_with_one_upload_removes_its_file(
    photo, in_memory, media, received
):
    data = pictures.jpeg()
    upload = save_image(in_memory(data=data), photo)

    meanwhile("before", lambda: work_on(upload))
    work_on(upload)

    photo.refresh_from_db()
    assert files(media) == [photo.image.name]
    assert pictures.stored(photo.image) == data
    assert len(received) == 1


def test_the_slower_worker_leaves_a_file_that_is_in_use(upload, photo, media, use_final_storage):
    use_final_storage(Behaving, allow_overwrite=True)

    meanwhile("before", lambda: work_on(upload))
    work_on(upload)

    photo.refresh_from_db()
    assert files(media) == [photo.image.name]


class Racing(Behaving):
    """Looks for a free name, and then stores. Two workers may find the same name, as on S3."""

    def get_available_name(self, name, max_length=None):
        if "racing" in behaviour:
            return name
        return super().get_available_name(name, max_length)

    def _save(self, name, content):
        self.delete(name)
        return super()._save(name, content)


def test_one_of_two_workers_that_store_at_the_same_time_may_fail(
    photo, in_memory, use_final_storage
):
    use_final_storage(Racing)
    data = pictures.jpeg()
    upload = save_image(in_memory(data=data), photo)

    def fail(**kwargs):
        del behaviour["racing"]  # Its file can be found by now.
        raise OperationalError("deadlock detected")

    def other_worker():
        behaviour["racing"] = True
        post_save.connect(fail, sender=Photo)
        try:
            with pytest.raises(OperationalError):
                attach(Upload.objects.start(upload.pk))
        finally:
            post_save.disconnect(fail, sender=Photo)

    meanwhile("after", other_worker)
    work_on(upload)

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data
    assert not Upload.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["superseded", "cleared", "deleted"])
def test_a_stored_file_is_removed_if_its_upload_has_ended_meanwhile(
    upload, photo, in_memory, media, what
):
    def end():
        if what == "superseded":
            save_image(in_memory(), photo)
        elif what == "cleared":
            Upload.objects.for_instance(photo).discard()
        else:
            Photo.objects.all().delete()

    meanwhile("before", end)
    work_on(upload)

    assert files(media) == []
    assert Upload.objects.count() == (1 if what == "superseded" else 0)


@pytest.mark.django_db(transaction=True)
def test_an_overwriting_storage_keeps_a_file_that_a_newer_upload_may_have_stored(
    upload, photo, in_memory, media, use_final_storage
):
    use_final_storage(Behaving, allow_overwrite=True)
    newer = pictures.jpeg()

    meanwhile("after", lambda: work_on(save_image(in_memory(data=newer), photo)))
    work_on(upload)

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == newer


def test_each_step_is_logged_with_the_uploads_id_and_no_file_name(photo, in_memory, caplog):
    caplog.set_level(logging.DEBUG, "django_async_forms")
    upload = save_image(in_memory("secret.jpg"), photo)
    fail_times(1)

    work_on(upload)

    steps = [record for record in caplog.records if record.name == "django_async_forms"]
    assert all(str(upload.pk) in record.getMessage() for record in steps)
    said = " ".join(record.getMessage() for record in steps)
    for word in ("staged", "attempt 1 failed", "stored", "attached"):
        assert word in said
    assert not any(
        "secret" in record.getMessage() for record in steps if record.levelno > logging.DEBUG
    )


def test_an_error_text_that_no_database_can_hold_is_noted_with_question_marks(upload, photo):
    # A str may hold NUL, and a byte of a file name that is not text.
    seen = []

    def before(name):
        seen.append(Upload.objects.get().error)
        if len(seen) == 1:
            raise OSError("no such file: \udcff\x00.jpg")

    behaviour["before"] = before

    work_on(upload)

    assert "no such file" in seen[1]
    photo.refresh_from_db()
    assert photo.image


def lose_connection():
    """End the connection of this process to the database, as a restarted server does."""
    if connection.vendor == "sqlite":
        connection.connection.close()  # SQLite has no server.
        return
    own, end = {
        "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend(%s)"),
        "mysql": ("SELECT CONNECTION_ID()", "KILL %s"),
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(own)
        (own_id,) = cursor.fetchone()
    with connections["other"].cursor() as cursor:
        cursor.execute(end, [own_id])


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_an_attempt_that_loses_its_connection_is_retried(upload, queue):
    behaviour["before"] = lambda name: lose_connection()

    # As in a worker. Without a broker, Celery would retry on the lost connection.
    with pytest.raises(Retry):
        work_on_in_a_worker(upload)

    assert Upload.objects.pending().get() == upload


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_an_attempt_that_loses_its_connection_leaves_no_stored_file_behind(upload, queue, media):
    if connection.vendor == "sqlite":
        pytest.skip("Nobody cuts a connection to a file.")
    behaviour["after"] = lambda name: lose_connection()

    with pytest.raises(Retry):
        work_on_in_a_worker(upload)

    assert files(media) == []
    assert "OperationalError" in Upload.objects.pending().get().error


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("pause", "messages"), [(10, 1), (11, 0)])
def test_a_worker_keeps_no_message_for_a_long_pause(
    upload, queue, settings, pause, messages, monkeypatch
):
    settings.ASYNC_FORMS = {"RETRY_PAUSE": pause}
    monkeypatch.setattr(random, "uniform", max)
    fail_times(1)

    with pytest.raises(Retry) if messages else nullcontext():
        work_on_in_a_worker(upload)

    assert save_image_task.app.control.purge() == messages


@pytest.mark.skipif(connection.vendor != "postgresql", reason="Only PostgreSQL has the setting.")
class TestTheDurabilityOfCommits:
    """Only the statement that counts an attempt does not wait for the disk."""

    @pytest.fixture
    def durability(self):
        def read():
            with connection.cursor() as cursor:
                cursor.execute("SHOW synchronous_commit")
                return cursor.fetchone()

        return read

    @pytest.mark.django_db(transaction=True)
    def test_counting_an_attempt_does_not_wait_for_the_disk(self, upload):
        with CaptureQueriesContext(connection) as queries:
            Upload.objects.start(upload.pk)

        assert ["synchronous_commit" in query["sql"] for query in queries] == [True]

    @pytest.mark.django_db(transaction=True)
    def test_later_commits_wait_for_the_disk(self, upload, durability):
        before = durability()

        Upload.objects.start(upload.pk)

        assert durability() == before

    def test_an_open_transaction_waits_for_the_disk(self, upload, durability):
        before = durability()

        Upload.objects.start(upload.pk)

        assert durability() == before


def work_on_in_a_worker(upload):
    """Deliver the message of an upload as to a worker, which sends retries to the broker."""
    arguments = [str(upload.pk), "default"]
    save_image_task.push_request(args=arguments, kwargs={}, called_directly=False)
    try:
        save_image_task.run(*arguments)
    finally:
        save_image_task.pop_request()
        connection.close()


# The pauses between attempts


@pytest.fixture
def pauses(monkeypatch, settings, caplog, photo, in_memory):
    """Returns the seconds of the pause after each failed attempt, of four, without chance."""

    def after_failures(chance, **async_forms):
        settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 5, "RETRY_PAUSE": 2, **async_forms}
        monkeypatch.setattr(random, "uniform", chance)
        fail_times(4)
        work_on(save_image(in_memory(), photo))
        return [float(text) for text in re.findall(r"the next in ([0-9.]+) s", caplog.text)]

    return after_failures


def test_the_pause_before_the_next_attempt_doubles(pauses):
    assert pauses(max) == [2, 4, 8, 16]


def test_up_to_half_of_a_pause_before_the_next_attempt_is_cut_off(pauses):
    assert pauses(min) == [1, 2, 4, 8]


def test_the_pause_before_the_next_attempt_has_a_limit(pauses):
    assert pauses(max, MAX_RETRY_PAUSE=5) == [2, 4, 5, 5]


def test_the_pause_after_thousands_of_attempts_is_the_limit(
    photo, in_memory, settings, monkeypatch, caplog
):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 10_000, "MAX_RETRY_PAUSE": 600}
    monkeypatch.setattr(random, "uniform", max)
    upload = save_image(in_memory(), photo)
    Upload.objects.update(attempts=5000)
    fail_times(1)

    work_on(upload)

    assert "the next in 600.0 s" in caplog.text


def test_recovery_sends_an_upload_after_the_pause_before_its_next_attempt(
    photo, in_memory, settings, monkeypatch
):
    settings.ASYNC_FORMS = {"RETRY_PAUSE": 500, "RESEND_AFTER": 100}
    monkeypatch.setattr(random, "uniform", max)
    upload = Upload.objects.start(save_image(in_memory(), photo).pk)

    assert record_failure(upload, OSError("the storage is away")) == 500

    left = (Upload.objects.get().due_at - timezone.now()).total_seconds()
    assert 490 < left <= 500


# Errors


def test_a_long_error_text_is_cut(photo, in_memory, settings):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
    fail_times(1, OSError("x" * 5000))

    work_on(save_image(in_memory(), photo))

    assert len(Upload.objects.failed().get().error) == 2000


def test_a_worker_that_is_told_to_exit_leaves_no_stored_file_behind(
    connect, photo, in_memory, media
):
    upload = save_image(in_memory(), photo)

    def exit_now(**kwargs):
        raise SystemExit

    connect(post_save, exit_now, Photo)
    with pytest.raises(SystemExit):
        work_on(upload)

    assert files(media) == []
    assert Upload.objects.pending().get() == upload


# A column that somebody has changed while the upload was pending


class Undatable(FileSystemStorage):
    """An object store that raises an error of its own, and not ``FileNotFoundError``."""

    def get_modified_time(self, name):
        raise ConnectionError("404, or something else")


def change_image_column(photo, name):
    """Change the column as other code does that has no file to save."""
    Photo.objects.filter(pk=photo.pk).update(image=name)


def test_an_upload_whose_column_changes_again_and_again_while_it_is_stored_is_retried(
    upload, photo, in_memory
):
    for number in range(9):
        name = Photo.objects.create(title="Old", image=in_memory(f"{number}.jpg")).image.name
        os.utime(default_storage.path(name), (0, 0))  # Stored before the upload was made.
    olds = iter(Photo.objects.filter(title="Old"))

    def change(name):
        for one in olds:
            return change_image_column(photo, one.image.name)

    behaviour["after"] = change
    work_on(upload)

    photo.refresh_from_db()
    assert photo.image.name == "photos/dune.jpg"
    assert not Upload.objects.exists()


def test_an_upload_is_kept_as_failed_if_the_file_that_was_set_meanwhile_is_not_there(
    old, in_memory, use_final_storage
):
    upload = save_image(in_memory(), old)
    change_image_column(old, "nowhere.jpg")
    use_final_storage(Undatable)

    work_on(upload)

    assert "cannot tell which is newer" in Upload.objects.failed().get().error
    assert Upload.objects.get().attempts == 1


def test_an_upload_is_retried_if_the_file_that_was_set_meanwhile_cannot_be_dated_now(
    old, in_memory, use_final_storage, settings
):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 3}
    upload = save_image(in_memory(), old)
    change_image_column(old, old.image.storage.save("there.jpg", in_memory()))
    use_final_storage(Undatable)

    work_on(upload)

    assert Upload.objects.failed().get().attempts == 3
    assert "ConnectionError" in Upload.objects.get().error


@pytest.mark.django_db(databases=["default", "other"])
def test_an_upload_of_another_database_ends_if_its_column_was_emptied_meanwhile(in_memory):
    moon = Elsewhere.objects.create(title="Moon", image=in_memory("old.jpg"))
    upload = save_image(in_memory(), moon)
    Elsewhere.objects.update(image="")

    work_on(upload)

    assert not Upload.objects.using("other").exists()


# The signals of an attempt


@pytest.mark.parametrize("field_name", ["image", "menu"])
def test_post_save_is_told_that_an_attempt_creates_no_row_of_a_child(
    connect, in_memory, field_name
):
    upload = save_image(in_memory(), Restaurant.objects.create(name="Sietch"), field_name)
    told = []
    connect(post_save, lambda created, **kwargs: told.append(created), Restaurant)

    work_on(upload)

    assert told == [False]


def test_an_image_is_attached_where_a_property_keeps_the_value_of_another_column(
    upload, photo, monkeypatch
):
    kept = property(
        lambda photo: photo.__dict__["_title"],
        lambda photo, title: photo.__dict__.update(_title=title),
    )
    monkeypatch.setattr(Photo, "title", kept)

    work_on(upload)

    assert not Upload.objects.exists()
    assert Photo.objects.filter(title="Dune", image="photos/dune.jpg").exists()


def test_a_receiver_of_image_saved_can_save_a_copy_of_the_instance(connect, photo, in_memory):
    def copy(instance, **kwargs):
        instance.pk, instance._state.adding = None, True
        instance.save()

    connect(image_saved, copy)

    work_on(save_image(in_memory(), photo))

    assert Photo.objects.exclude(pk=photo.pk).get().image


def test_a_receiver_that_returns_is_not_logged_as_an_error(connect, photo, in_memory, caplog):
    connect(image_saved, lambda **kwargs: "done")

    work_on(save_image(in_memory(), photo))

    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    "change",
    [
        {"object_pk": "0"},
        {"object_pk": "no number"},
        {"model": "project.tomorrow"},
        {"field_name": "tomorrow"},
    ],
    ids=["instance is gone", "key is another model's", "model is gone", "field is gone"],
)
def test_image_failed_is_sent_without_an_instance_if_an_upload_has_none(
    photo, in_memory, settings, received, change
):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
    upload = save_image(in_memory(), photo)
    Upload.objects.update(**change)

    work_on(upload)

    ((name, kwargs),) = received
    assert name == "failed"
    assert (kwargs["sender"], kwargs["instance"]) == (None, None)
    assert kwargs["upload"] == Upload.objects.failed().get()


# What an attempt has written, and its failure


@pytest.fixture
def fail_and_refuse(connect, upload, settings):
    """Has the only attempt fail when its image is attached, and then refuses some updates."""
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}

    def work(error, times):
        errors = []

        def fail(**kwargs):
            errors.extend([error] * times)
            raise OSError("the search engine is away")

        def refuse(execute, sql, *args):
            if errors and sql.startswith("UPDATE"):
                raise errors.pop()
            return execute(sql, *args)

        connect(post_save, fail, Photo)
        with connection.execute_wrapper(refuse):
            work_on(upload)
        assert not errors

    return work


@pytest.mark.django_db(transaction=True)
def test_an_image_is_taken_back_although_the_database_refuses_that_twice(
    fail_and_refuse, photo, media
):
    fail_and_refuse(OperationalError("could not serialize access"), 2)

    photo.refresh_from_db()
    assert not photo.image
    assert files(media) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("error", "times"),
    [(OperationalError("could not serialize access"), 3), (RuntimeError("a bug"), 1)],
    ids=["of the database, three times", "other, once"],
)
def test_an_image_that_cannot_be_taken_back_keeps_its_file(
    fail_and_refuse, photo, media, caplog, error, times
):
    fail_and_refuse(error, times)

    photo.refresh_from_db()
    assert files(media) == [photo.image.name]
    assert caplog.text.count("left its file in the storage") == 1


@pytest.mark.django_db(transaction=True)
def test_a_failed_attempt_takes_nothing_back_from_other_rows(connect, in_memory, settings):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
    async_form(Thumbnailed, {"title": "Dune"}, {"image": in_memory()}).save()
    other = Thumbnailed.objects.create(title="Other", image=in_memory())

    def fail(**kwargs):
        raise OSError("the search engine is away")

    connect(post_save, fail, Thumbnailed)
    work_on(Upload.objects.get())

    assert Upload.objects.failed().exists()
    assert Thumbnailed.objects.get(title="Other").thumbnail == other.thumbnail


@pytest.mark.django_db(transaction=True)
def test_a_failed_attempt_leaves_a_column_that_was_changed_after_it(connect, in_memory, settings):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
    other = Thumbnailed.objects.create(title="Other", image=in_memory("other.jpg"))
    async_form(Thumbnailed, {"title": "Dune"}, {"image": in_memory()}).save()

    def change_and_fail(**kwargs):
        Thumbnailed.objects.update(thumbnail=other.image.name)
        raise OSError("the search engine is away")

    connect(post_save, change_and_fail, Thumbnailed)
    work_on(Upload.objects.get())

    assert Upload.objects.failed().exists()
    assert Thumbnailed.objects.get(title="Dune").thumbnail == other.image.name


@pytest.mark.django_db(transaction=True)
def test_an_attached_image_that_a_newer_upload_will_replace_stays_when_its_attempt_fails(
    connect, photo, in_memory, settings
):
    data = pictures.jpeg()
    upload = save_image(in_memory(data=data), photo)

    def replace_and_fail(instance, **kwargs):
        save_image(in_memory(), Photo.objects.get(pk=instance.pk))
        raise OSError("the search engine is away")

    connect(post_save, replace_and_fail, Photo)
    work_on(upload)

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data
    assert Upload.objects.get() != upload


@pytest.fixture
def overtake(connect, upload):
    """
    Makes two attempts at the upload, each of which attaches its image and runs receivers then.

    The second begins and attaches while the first one's receiver runs, and the first ends while the
    second one's receiver runs. Each raises its error, if it is given one.
    """

    def attempt():
        with suppress(OSError):
            attach(Upload.objects.start(upload.pk))

    def make(first=None, second=None):
        is_attached, is_overtaken = threading.Event(), threading.Event()

        def receive(**kwargs):
            if is_attached.is_set():
                is_overtaken.set()
                slower.wait()
                error = second
            else:
                is_attached.set()
                assert is_overtaken.wait(DEADLINE)
                error = first
            if error:
                raise error

        connect(post_save, receive, Photo)
        slower = Meanwhile(attempt)
        assert is_attached.wait(DEADLINE)
        attempt()
        assert is_overtaken.is_set()
        post_save.disconnect(receive, Photo)

    return make


@pytest.mark.django_db(transaction=True)
def test_an_upload_ends_with_its_second_attempt_although_the_overtaken_one_fails(
    overtake, photo, media
):
    overtake(first=OSError("the search engine is away"))

    assert not Upload.objects.exists()
    photo.refresh_from_db()
    assert photo.image.name in files(media)


@pytest.mark.django_db(transaction=True)
def test_an_overtaken_attempt_leaves_the_upload_to_the_second_which_is_retried(
    overtake, upload, photo, media
):
    overtake(second=OSError("the search engine is away"))
    assert Upload.objects.pending().get() == upload

    work_on(upload)

    assert not Upload.objects.exists()
    photo.refresh_from_db()
    assert photo.image.name in files(media)


@pytest.fixture
def next_commit(monkeypatch):
    """Has the next commit fail after an image was stored: ``next_commit("default", ...)``."""

    def fail(using, is_done):
        connection = connections[using]
        commit = connection.commit

        def commit_and_fail():
            monkeypatch.setattr(connection, "commit", commit)
            if is_done:
                commit()
            raise OperationalError("server closed the connection unexpectedly")

        meanwhile("after", lambda: monkeypatch.setattr(connection, "commit", commit_and_fail))

    return fail


@pytest.mark.parametrize(("model", "using"), [(Photo, "default"), (Elsewhere, "other")])
@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_an_image_stays_if_only_the_answer_to_its_commit_is_lost(
    no_receivers, in_memory, next_commit, settings, model, using
):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
    data = pictures.jpeg()
    upload = save_image(in_memory(data=data), model.objects.create(title="Dune"))
    next_commit(using, is_done=True)

    work_on(upload)

    assert pictures.stored(model.objects.get().image) == data
    assert not Upload.objects.using(using).exists()


@pytest.mark.django_db(transaction=True)
def test_an_image_is_taken_back_if_the_answer_to_its_commit_is_lost_before_receivers_run(
    connect, upload, photo, next_commit, media, settings
):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}

    def expect_to_run(**kwargs):
        """A receiver, for which another attempt is made."""

    connect(post_save, expect_to_run, Photo)
    next_commit("default", is_done=True)

    work_on(upload)

    photo.refresh_from_db()
    assert not photo.image
    assert files(media) == []
    assert Upload.objects.failed().get() == upload


@pytest.mark.django_db(transaction=True)
def test_a_stored_file_is_removed_if_the_commit_fails(upload, photo, next_commit, media, settings):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
    next_commit("default", is_done=False)

    work_on(upload)

    photo.refresh_from_db()
    assert not photo.image
    assert files(media) == []


# Messages without an upload


def test_the_task_of_a_second_message_succeeds(upload):
    work_on(upload)

    assert save_image_task.apply(args=[str(upload.pk), "default"]).successful()
