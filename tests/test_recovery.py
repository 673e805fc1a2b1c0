"""``recover_uploads`` sends lost messages again, purges failed uploads, and removes old files."""

import logging
import os
import random
from datetime import timedelta
from functools import partial

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import OperationalError, connections
from django.utils import timezone

from django_async_forms import recovery
from django_async_forms.fields import file_fields
from django_async_forms.models import AbandonedName, Upload, forget_outboxes
from django_async_forms.retries import record_failure
from django_async_forms.storage import DatabaseStorage, StagingFileSystemStorage, staging_storage
from django_async_forms.tasks import recover_uploads, save_image_task
from django_async_forms.uploads import save_image
from tests import pictures
from tests.project.models import Elsewhere, Photo
from tests.worker import sending_to, staged_files

pytestmark = pytest.mark.django_db(databases=["default", "other"])

DAY = 24 * 3600
MONTH = 30 * DAY
NO_BROKER = "amqp://127.0.0.1:1//"


class Clock:
    """The time of this process. It stands still until a test puts it forward."""

    def __init__(self):
        self.now = timezone.now()

    def forward(self, seconds):
        self.now += timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(timezone, "now", lambda: clock.now)
    return clock


class Mailbox:
    """A queue without a worker."""

    def __init__(self, broker):
        self._broker = broker

    def take(self):
        """
        Take all messages out of the queue; return the id and the database of each.

        Sorted, because a broker in a folder mixes up messages of the same millisecond.
        """
        taken = []
        with self._broker.connection() as connection:
            while message := connection.default_channel.basic_get(self._broker.queue, no_ack=True):
                arguments, _, _ = message.payload
                taken.append(tuple(arguments))
        return sorted(taken)


@pytest.fixture
def mailbox(queue):
    """The queue that this process sends messages to."""
    return Mailbox(queue)


@pytest.fixture
def broker_down():
    """Makes the broker refuse connections in a block."""
    return partial(sending_to, NO_BROKER)


@pytest.fixture
def recover(clock, django_capture_on_commit_callbacks):
    """Runs the task in this process, some seconds later, with its ``on_commit`` callbacks."""

    def run(after=0, **arguments):
        clock.forward(after)
        with (
            django_capture_on_commit_callbacks(using="default", execute=True),
            django_capture_on_commit_callbacks(using="other", execute=True),
        ):
            recover_uploads(**arguments)

    return run


def fail(upload):
    """Mark an upload as failed just now, as after its last attempt."""
    due_at = timezone.now() + timedelta(seconds=MONTH)
    Upload.objects.filter(pk=upload.pk).update(
        state=Upload.State.FAILED, error="OSError: no space left", due_at=due_at
    )
    return upload


def delete_past_django(model, database="default"):
    """Delete all instances with SQL, as another program would: no signal is sent."""
    table = connections[database].ops.quote_name(model._meta.db_table)
    with connections[database].cursor() as cursor:
        cursor.execute(f"DELETE FROM {table}")


def names(*uploads):
    return sorted((str(upload.pk), upload.using) for upload in uploads)


# Pending uploads


def test_an_upload_that_nothing_was_heard_of_for_a_while_is_sent_again(
    new_upload, recover, clock, mailbox, staging
):
    upload = new_upload()

    recover(after=119)
    assert mailbox.take() == []
    recover(after=2)
    assert mailbox.take() == names(upload)
    assert Upload.objects.get().sent_at == clock.now


def test_the_wait_before_sending_again_is_a_setting(new_upload, recover, mailbox, settings):
    settings.ASYNC_FORMS = {**settings.ASYNC_FORMS, "RESEND_AFTER": 10}
    upload = new_upload()

    recover(after=11)

    assert mailbox.take() == names(upload)


def test_the_wait_before_sending_again_doubles_each_time(new_upload, recover, clock, mailbox):
    new_upload()
    sent_after = []
    for minute in range(1, 61):
        clock.forward(60)
        recover()
        if mailbox.take():
            sent_after.append(minute)

    assert sent_after == [2, 4, 8, 16, 32]


def test_the_wait_before_sending_again_begins_anew_when_an_operator_retries(
    new_upload, recover, clock, mailbox
):
    fail(new_upload())
    clock.forward(3 * DAY)
    Upload.objects.get().retry()

    recover(after=121)
    assert len(mailbox.take()) == 1
    recover(after=125)
    assert len(mailbox.take()) == 1


def test_an_upload_that_a_worker_has_just_begun_is_left_to_it_for_a_while(
    new_upload, recover, clock, mailbox
):
    upload = new_upload()
    clock.forward(119)
    Upload.objects.start(upload.pk)

    recover(after=119)
    assert mailbox.take() == []
    recover(after=2)  # The worker was killed.
    assert mailbox.take() == names(upload)


def test_a_run_sends_one_batch_of_due_uploads_after_another(
    new_upload, recover, clock, mailbox, settings
):
    settings.ASYNC_FORMS = {**settings.ASYNC_FORMS, "RECOVER_BATCH": 2}
    uploads = [new_upload() for _ in range(5)]

    recover(after=121)

    assert mailbox.take() == names(*uploads)


def test_a_run_sends_the_longest_due_uploads_first_and_ends_in_time(
    new_upload, recover, clock, mailbox, settings, monkeypatch
):
    settings.ASYNC_FORMS = {**settings.ASYNC_FORMS, "RECOVER_BATCH": 2}
    monkeypatch.setattr(recovery, "SENDING_SECONDS", 0)
    uploads = []
    for _ in range(3):
        uploads.append(new_upload())
        clock.forward(1)

    recover(after=121)
    assert mailbox.take() == names(*uploads[:2])
    recover()
    assert mailbox.take() == names(uploads[2])


@pytest.mark.parametrize(("pause", "seconds"), [(10, 130), (20, 20)])
def test_a_run_sends_an_upload_after_a_long_pause_which_no_message_keeps(
    new_upload, recover, mailbox, settings, monkeypatch, pause, seconds
):
    settings.ASYNC_FORMS = {**settings.ASYNC_FORMS, "RETRY_PAUSE": pause, "RESEND_AFTER": 120}
    monkeypatch.setattr(random, "uniform", max)
    upload = new_upload()
    record_failure(Upload.objects.start(upload.pk), OSError("the storage is away"))

    recover(after=seconds - 1)
    assert mailbox.take() == []
    recover(after=2)
    assert mailbox.take() == names(upload)


def test_an_upload_that_is_sent_again_is_saved(new_upload, recover, clock, mailbox, in_memory):
    data = pictures.jpeg()
    photo = Photo.objects.create(title="Dune")
    save_image(in_memory(data=data), photo)
    clock.forward(121)
    recover()

    for arguments in mailbox.take():
        save_image_task.apply(args=arguments)

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data


# The broker


def test_uploads_stay_due_while_the_broker_is_down(
    new_upload, recover, broker_down, clock, mailbox
):
    uploads = []
    for _ in range(3):
        uploads.append(new_upload())
        clock.forward(1)

    with broker_down():
        recover(after=121)
    assert Upload.objects.pending().count() == 3

    recover()
    assert mailbox.take() == names(*uploads)


def test_a_broker_that_is_down_is_asked_once_in_a_run(new_upload, recover, broker_down, caplog):
    for _ in range(3):
        new_upload()

    with broker_down():
        recover(after=121)

    complaints = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(complaints) == 1
    assert "stops sending" in complaints[0].getMessage()


def test_recovery_does_everything_else_while_the_broker_is_down(
    new_upload, recover, broker_down, clock
):
    fail(new_upload("Failed"))
    clock.forward(MONTH + 1)
    new_upload("Pending")

    with broker_down():
        recover(after=121)

    assert not Upload.objects.failed().exists()
    assert Upload.objects.pending().count() == 1


# Failed uploads


def test_a_failed_upload_is_purged_after_its_keep_time(new_upload, recover, mailbox, staging):
    fail(new_upload())

    recover(after=MONTH + 1)

    assert not Upload.objects.exists()
    assert staged_files() == []
    assert mailbox.take() == []


def test_a_failed_upload_is_kept_for_its_keep_time_and_not_sent(
    new_upload, recover, mailbox, staging
):
    upload = fail(new_upload())

    recover(after=MONTH - 1)

    assert Upload.objects.failed().get() == upload
    assert upload.open_staged().close() is None
    assert mailbox.take() == []


# Uploads without an instance


def test_an_upload_whose_instance_is_gone_is_left_to_its_worker(new_upload, recover, mailbox):
    upload = new_upload()
    delete_past_django(Photo)

    recover(after=121)

    assert mailbox.take() == names(upload)


def test_an_upload_for_a_model_that_this_process_does_not_know_is_kept(
    new_upload, recover, mailbox
):
    # The worker may run another version of the project than the site.
    upload = new_upload()
    Upload.objects.update(model="project.tomorrow")

    recover(after=121)

    assert Upload.objects.get() == upload


def test_a_row_that_makes_no_sense_does_not_stop_the_recovery_of_others(
    new_upload, recover, mailbox
):
    # For example, a row from before the primary key changed its type.
    odd, upload = new_upload("Odd"), new_upload()
    Upload.objects.filter(pk=odd.pk).update(object_pk="7b1ef5dc-a2b1")

    recover(after=121)

    assert names(upload)[0] in mailbox.take()


# Abandoned staged files


def abandoned_file(location, name, age):
    """Stage a file without an upload, as a rollback or a killed process leaves it."""
    path = location / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"bytes")
    then = (timezone.now() - timedelta(seconds=age)).timestamp()
    os.utime(path, (then, then))
    return path


ID = "ab12cd34ab12cd34ab12cd34ab12cd34"


def test_a_staged_file_without_a_committed_upload_is_removed_when_it_is_old(
    location, recover, mailbox
):
    # The transaction of a new one may be about to commit.
    path = abandoned_file(location, f"default/ab/{ID}", age=DAY - 60)

    recover()
    assert path.exists()
    recover(after=120)
    assert staged_files() == []


def test_a_staged_file_of_an_upload_is_kept_however_old_it_is(
    location, new_upload, recover, mailbox
):
    upload = new_upload()

    recover(after=10 * DAY)

    assert staged_files() == [upload.staged]


def test_the_link_that_a_killed_worker_left_is_removed(location, new_upload, recover, mailbox):
    upload = new_upload()
    staging_storage("default").link_out(upload.staged).file.close()
    assert len(staged_files()) == 2

    recover(after=2 * DAY)

    assert staged_files() == [upload.staged]


class Recovering(FileSystemStorage):
    """A slow final storage, during whose work recovery runs."""

    def _save(self, name, content):
        recover_uploads()
        return super()._save(name, content)


def test_the_link_of_a_worker_at_work_is_kept_however_old_the_image(
    location, mailbox, use_final_storage, caplog, on_disk
):
    # For example, an operator retries it after days.
    upload = save_image(on_disk(), Photo.objects.create(title="Dune"))
    then = (timezone.now() - timedelta(days=2)).timestamp()
    os.utime(location / upload.staged, (then, then))
    use_final_storage(Recovering)

    save_image_task.apply(args=[str(upload.pk), "default"])

    assert Photo.objects.get().image
    assert "attempt 1 failed" not in caplog.text


def test_files_of_another_database_are_kept(location, recover, mailbox, in_memory):
    upload = save_image(in_memory(), Elsewhere.objects.create(title="Moon"))

    recover(after=2 * DAY)
    recover(using="default")

    assert staged_files("other") == [upload.staged]


def test_files_that_are_not_named_for_an_upload_are_not_touched(location, recover, mailbox):
    # The storage may have other files, such as a bucket for everything.
    paths = [
        abandoned_file(location, "default/ab/README", age=10 * DAY),
        abandoned_file(location, "default/avatars/face.png", age=10 * DAY),
        abandoned_file(location, "default/notes.txt", age=10 * DAY),
        abandoned_file(location, "elsewhere/ab/photo.jpg", age=10 * DAY),
    ]

    recover()

    assert all(path.exists() for path in paths)


def test_a_run_looks_at_a_bounded_number_of_files(location, recover, mailbox, settings):
    settings.ASYNC_FORMS = {**settings.ASYNC_FORMS, "RECOVER_BATCH": 2}
    for first in ("aa", "bb", "cc", "dd"):
        abandoned_file(location, f"default/{first}/{first}{ID[2:]}", age=2 * DAY)

    recover()
    assert len(staged_files()) == 2
    recover()
    assert staged_files() == []


def test_a_run_before_anything_was_staged_removes_nothing(location, recover, mailbox):
    recover()

    assert not location.exists()


def test_any_storage_may_be_the_staging_storage(
    new_upload, recover, mailbox, use_staging_storage, tmp_path
):
    use_staging_storage(FileSystemStorage, location=tmp_path / "plain")
    upload = new_upload()
    abandoned_file(tmp_path / "plain", f"default/ab/{ID}", age=2 * DAY)

    recover(after=121)

    assert staged_files() == [upload.staged]


class Unlistable(FileSystemStorage):
    """A storage that cannot list its files."""

    def listdir(self, path):
        raise NotImplementedError


def test_uploads_are_sent_though_the_staging_storage_cannot_list_its_files(
    new_upload, recover, mailbox, use_staging_storage, tmp_path
):
    use_staging_storage(Unlistable, location=tmp_path / "staging")
    upload = new_upload()

    recover(after=121)

    assert mailbox.take() == names(upload)


def test_abandoned_bytes_in_another_database_than_the_instances_are_removed(
    recover, mailbox, use_staging_storage, new_upload
):
    # They do not roll back with the instance.
    use_staging_storage(DatabaseStorage, using="other")
    storage = DatabaseStorage(using="other")
    upload = new_upload()
    storage.save(f"default/ab/{ID}", ContentFile(b"bytes"))

    recover(after=2 * DAY)

    assert not storage.exists(f"default/ab/{ID}")
    assert storage.exists(upload.staged)


# Several databases


def test_one_run_looks_at_all_databases(new_upload, recover, mailbox, in_memory, staging):
    here = new_upload()
    there = save_image(in_memory(), Elsewhere.objects.create(title="Moon"))

    recover(after=121)

    assert sorted(mailbox.take()) == sorted(names(here, there))


def test_a_run_can_be_for_one_database(new_upload, recover, mailbox, in_memory):
    new_upload()
    there = save_image(in_memory(), Elsewhere.objects.create(title="Moon"))

    recover(after=121, using="other")

    assert mailbox.take() == [(str(there.pk), "other")]


@pytest.fixture
def default_is_down(transactional_db):
    """Makes the default database unreachable, from the call until the end of the test."""
    database = connections["default"]
    before = database.settings_dict

    def shut():
        database.close()
        nowhere = {"NAME": "/nowhere/at.all"} if database.vendor == "sqlite" else {"PORT": "1"}
        database.settings_dict = {**before, "HOST": "127.0.0.1", **nowhere}
        with pytest.raises(OperationalError):
            database.ensure_connection()

    yield shut
    database.close()
    database.settings_dict = before


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_database_that_is_down_does_not_keep_another_from_being_recovered(
    mailbox, default_is_down, in_memory, clock, caplog
):
    upload = save_image(in_memory(), Elsewhere.objects.create(title="Moon"))
    mailbox.take()
    clock.forward(121)
    default_is_down()

    recover_uploads()

    assert mailbox.take() == names(upload)
    assert "default" in "".join(
        record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING
    )


class Away(StagingFileSystemStorage):
    """A staging storage that raises its client's own error when it is asked for its files."""

    def listdir(self, path):
        raise RuntimeError("The object store does not answer.")


def test_a_staging_storage_that_is_down_keeps_no_database_from_being_recovered(
    new_upload, recover, mailbox, in_memory, use_staging_storage, tmp_path, caplog
):
    use_staging_storage(Away, location=tmp_path / "staging")
    here = new_upload()
    there = save_image(in_memory(), Elsewhere.objects.create(title="Moon"))

    recover(after=121)

    assert sorted(mailbox.take()) == sorted(names(here, there))
    assert "The object store does not answer." in caplog.text


# The log of a run


@pytest.mark.django_db(transaction=True)
def test_a_run_logs_its_result(location, new_upload, clock, mailbox):
    fail(new_upload("Failed long ago"))
    clock.forward(MONTH + 1)
    new_upload("Pending")
    abandoned_file(location, f"default/ab/{ID}", age=2 * DAY)
    clock.forward(121)

    done = recovery.recover("default")

    assert done == recovery.Recovered(sent=1, purged=1, expired=0, abandoned=1)


# The bounds of a run


def test_a_run_purges_one_batch_of_failed_uploads(new_upload, recover, clock, mailbox, settings):
    settings.ASYNC_FORMS = {**settings.ASYNC_FORMS, "RECOVER_BATCH": 1}
    for _ in range(2):
        fail(new_upload())
    clock.forward(MONTH + 1)

    recover()

    assert Upload.objects.failed().count() == 1


def test_a_failed_upload_beyond_the_batch_is_not_sent(
    new_upload, recover, clock, mailbox, settings
):
    settings.ASYNC_FORMS = {**settings.ASYNC_FORMS, "RECOVER_BATCH": 1}
    for _ in range(2):
        fail(new_upload())
    clock.forward(MONTH + 1)

    recover()

    assert mailbox.take() == []


def test_a_failed_upload_is_purged_however_many_uploads_are_pending_for_longer(
    new_upload, recover, clock, mailbox, settings
):
    settings.ASYNC_FORMS = {**settings.ASYNC_FORMS, "RECOVER_BATCH": 1}
    pending = new_upload("Pending")
    clock.forward(1)
    fail(new_upload("Failed"))
    clock.forward(MONTH + 1)

    recover()

    assert Upload.objects.get() == pending


def test_an_upload_that_an_operator_retries_during_the_run_is_not_purged(
    new_upload, recover, clock, mailbox
):
    upload = fail(new_upload())
    clock.forward(MONTH + 1)

    def retry_after(execute, sql, *args):
        result = execute(sql, *args)
        if "SELECT" in sql and Upload._meta.db_table in sql:
            upload.retry()
        return result

    with connections["default"].execute_wrapper(retry_after):
        recover()

    assert Upload.objects.pending().get() == upload


def test_each_folder_of_staged_files_has_its_turn(location, recover, mailbox, settings):
    settings.ASYNC_FORMS = {**settings.ASYNC_FORMS, "RECOVER_BATCH": 1}
    for first in ("aa", "bb", "cc", "dd"):
        abandoned_file(location, f"default/{first}/{first}{ID[2:]}", age=60)
    last = staging_storage("default").listdir("default")[0][-1]
    old = abandoned_file(location, f"default/{last}/{last}{ID[2:]}", age=2 * DAY)

    runs = 0
    while old.exists():
        recover()
        runs += 1
        assert runs < 500  # Each run has a chance of one in four.


# Files that a run must not remove, or need not


@pytest.mark.parametrize(
    "name",
    ["avatars/" + ID, "ab/" + ID[:-1], "ab/ab12.jpg", "re/readme"],
    ids=["in another folder", "shorter", "short", "of words"],
)
def test_an_old_file_is_kept_unless_its_name_and_folder_are_an_uploads(
    location, recover, mailbox, name
):
    path = abandoned_file(location, f"default/{name}", age=10 * DAY)
    abandoned = abandoned_file(location, f"default/ab/{ID}", age=10 * DAY)

    recover()

    assert path.exists()
    assert not abandoned.exists()


class Vanishing(FileSystemStorage):
    """A storage from which a worker takes each file just before recovery looks at its age."""

    def get_modified_time(self, name):
        self.delete(name)
        return super().get_modified_time(name)


def test_a_staged_file_that_a_worker_has_just_taken_does_not_stop_the_run(
    use_staging_storage, mailbox, tmp_path
):
    use_staging_storage(Vanishing, location=tmp_path / "staging")
    abandoned_file(tmp_path / "staging", f"default/ab/{ID}", age=2 * DAY)

    assert recovery.recover("default").abandoned == 0


def test_a_file_that_is_kept_is_not_counted_as_removed(location, mailbox):
    abandoned_file(location, f"default/ab/{ID}", age=DAY - 60)

    assert recovery.recover("default").abandoned == 0


# Names that ended attempts have reserved


@pytest.mark.parametrize("database", ["default", "other"])
def test_a_name_that_an_attempt_has_abandoned_is_given_up_after_the_keep_time(
    recover, clock, mailbox, database
):
    AbandonedName.objects.using(database).create(digest="0" * 64)
    clock.forward(DAY + 60)

    recover(using=database)

    assert not AbandonedName.objects.using(database).exists()


def test_a_name_that_an_attempt_has_just_abandoned_is_kept(recover, clock, mailbox):
    AbandonedName.objects.create(digest="0" * 64)
    clock.forward(DAY - 60)

    recover()

    assert AbandonedName.objects.exists()


# Which databases a run is for


class FilesElsewhere:
    """A router that keeps all models with files in one database, and the others in another."""

    def db_for_write(self, model, **hints):
        return "other" if file_fields(model) else "default"


def test_a_database_without_models_that_have_files_is_not_recovered(
    settings, new_upload, recover, clock, mailbox
):
    new_upload()
    clock.forward(121)
    settings.DATABASE_ROUTERS = [FilesElsewhere()]

    recover()

    assert mailbox.take() == []


@pytest.fixture
def just_started():
    """Makes this process forget which databases have an outbox, as one that has just started."""
    forget_outboxes()
    yield
    forget_outboxes()


def test_a_database_without_the_outbox_is_not_recovered(just_started, mailbox, monkeypatch, caplog):
    introspection = connections["other"].introspection
    monkeypatch.setattr(introspection, "table_names", lambda *args, **kwargs: [])

    recover_uploads()

    assert "Database default: Recovered" in caplog.text
    assert "Database other" not in caplog.text


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_database_that_has_always_been_down_does_not_keep_another_from_being_recovered(
    mailbox, default_is_down, in_memory, clock, just_started
):
    upload = save_image(in_memory(), Elsewhere.objects.create(title="Moon"))
    mailbox.take()
    clock.forward(121)
    default_is_down()

    recover_uploads()

    assert mailbox.take() == names(upload)
