"""``manage.py async_uploads``: an operator lists, retries, recovers and purges uploads."""

import uuid
from datetime import datetime, timezone
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections

from django_async_forms import models
from django_async_forms.models import StoredChunk, Upload
from django_async_forms.tasks import save_image_task
from django_async_forms.uploads import save_image
from tests import pictures
from tests.project.models import Elsewhere, Photo

pytestmark = [
    pytest.mark.django_db(databases=["default", "other"]),
    pytest.mark.usefixtures("queue"),
]


@pytest.fixture
def new_upload_elsewhere(in_memory):
    """Makes an instance of the second database with a pending image, and returns the upload."""

    def make():
        return save_image(in_memory("moon.jpg"), Elsewhere.objects.create(title="Moon"))

    return make


def fail(upload):
    """Mark an upload as failed, as after its last attempt."""
    Upload.objects.using(upload.using).filter(pk=upload.pk).update(
        state=Upload.State.FAILED, attempts=12, error="OSError: no space left"
    )
    return upload


def run(*arguments):
    """Run the command as an operator types it, and return what it prints."""
    out = StringIO()
    call_command("async_uploads", *[str(argument) for argument in arguments], stdout=out)
    return out.getvalue()


# list


def test_list_prints_the_uploads_of_all_databases_with_their_errors(
    new_upload, new_upload_elsewhere
):
    pending, failed, elsewhere = new_upload(), fail(new_upload()), new_upload_elsewhere()

    out = run("list")

    lines = {line.split()[0]: line for line in out.splitlines() if not line.startswith(" ")}
    assert set(lines) == {str(pending.pk), str(failed.pk), str(elsewhere.pk)}
    assert "pending" in lines[str(pending.pk)]
    assert "failed" in lines[str(failed.pk)]
    assert "attempts 12" in lines[str(failed.pk)]
    assert "moon.jpg" in lines[str(elsewhere.pk)]
    assert "project.elsewhere" in lines[str(elsewhere.pk)]
    assert out.count("OSError: no space left") == 1


def test_list_begins_with_the_oldest_upload(new_upload):
    uploads = [new_upload() for _ in range(3)]

    out = run("list")

    assert [line.split()[0] for line in out.splitlines()] == [str(upload.pk) for upload in uploads]


@pytest.mark.parametrize(
    ("use_tz", "shown"), [(True, "2026-01-31 13:00:00+01:00"), (False, "2026-01-31 12:00:00")]
)
def test_list_gives_times_in_the_time_zone_of_the_settings(new_upload, settings, use_tz, shown):
    settings.USE_TZ = use_tz
    settings.TIME_ZONE = "Europe/Berlin"
    noon = datetime(2026, 1, 31, 12, tzinfo=timezone.utc if use_tz else None)
    Upload.objects.filter(pk=new_upload().pk).update(created_at=noon)

    assert f"  {shown}  " in run("list")


@pytest.mark.parametrize("option", [["--failed"], ["--database", "other"]], ids=lambda o: o[0])
def test_list_can_be_limited_to_failed_uploads_or_to_a_database(
    new_upload, new_upload_elsewhere, option
):
    here, there = new_upload(), fail(new_upload_elsewhere())

    out = run("list", *option)

    assert str(there.pk) in out
    assert str(here.pk) not in out


# A database that does not answer


@pytest.fixture
def down(monkeypatch):
    """Make the second database refuse connections, of which it is not known what it holds."""

    def refuse(*args, **kwargs):
        raise OperationalError("connection refused")

    monkeypatch.setattr(models, "_outboxes", {})
    monkeypatch.setattr(connections["other"], "cursor", refuse)


@pytest.mark.parametrize(
    ("arguments", "done"),
    [("list", "dune.jpg"), ("recover", "default: "), ("retry --all", "default: 1 retried")],
)
def test_a_database_that_is_down_is_an_error_after_the_others_are_done(
    new_upload, down, arguments, done
):
    fail(new_upload())

    out = StringIO()
    with pytest.raises(CommandError, match=r"^The database other does not answer: connection ref"):
        call_command("async_uploads", *arguments.split(), stdout=out)

    assert done in out.getvalue()


def test_a_database_without_the_table_is_an_error_if_it_is_named(monkeypatch):
    monkeypatch.setattr(models, "_outboxes", {"other": False})

    with pytest.raises(CommandError, match=r"Run: manage.py migrate --database other"):
        run("list", "--database", "other")


# retry


def test_retry_sends_a_failed_upload_with_its_attempt_count_reset(new_upload, in_memory):
    data = pictures.jpeg()
    failed, other = fail(new_upload(data=data)), fail(new_upload("Reef"))

    assert "1 retried" in run("retry", failed.pk)

    upload = Upload.objects.pending().get()
    assert upload == failed
    assert upload.attempts == 0
    assert Upload.objects.failed().get() == other
    save_image_task.apply(args=[str(failed.pk), "default"])
    assert pictures.stored(Photo.objects.get(title="Dune").image) == data


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_retry_sends_the_message_of_an_upload(new_upload, queue):
    failed = fail(new_upload())
    for message in queue.folder.glob("*.msg"):
        message.unlink()

    run("retry", failed.pk)

    assert len(list(queue.folder.glob("*.msg"))) == 1


def test_retry_finds_an_upload_in_any_database(new_upload_elsewhere):
    failed = fail(new_upload_elsewhere())

    run("retry", failed.pk)

    assert Upload.objects.using("other").pending().get() == failed


def test_retry_all_sends_all_failed_uploads(new_upload, new_upload_elsewhere):
    for upload in (new_upload(), new_upload(), new_upload_elsewhere()):
        fail(upload)

    run("retry", "--all")

    assert not Upload.objects.failed().exists()
    assert not Upload.objects.using("other").failed().exists()


def test_retry_all_can_be_limited_to_a_database(new_upload, new_upload_elsewhere):
    here = fail(new_upload())
    fail(new_upload_elsewhere())

    run("retry", "--all", "--database", "other")

    assert Upload.objects.failed().get() == here
    assert Upload.objects.using("other").pending().exists()


# purge


def test_purge_discards_a_failed_upload_and_its_staged_bytes(new_upload):
    failed, other = fail(new_upload()), fail(new_upload())

    assert "1 purged" in run("purge", failed.pk)

    assert Upload.objects.get() == other
    assert not StoredChunk.objects.filter(name=failed.staged).exists()
    assert StoredChunk.objects.filter(name=other.staged).exists()


def test_purge_all_leaves_pending_uploads(new_upload):
    pending = new_upload()
    for upload in (new_upload(), new_upload()):
        fail(upload)

    assert "2 purged" in run("purge", "--all")

    assert Upload.objects.get() == pending


# recover


def test_recover_sends_an_upload_again_whose_message_got_lost(new_upload, queue, settings):
    settings.ASYNC_FORMS = {"RESEND_AFTER": 1e-6}
    new_upload()

    out = run("recover")

    assert "default: 1 sent again, 0 purged, 0 drafts expired, 0 staged files removed." in out
    assert "other: 0 sent again" in out
    assert len(list(queue.folder.glob("*.msg"))) == 1


def test_recover_now_sends_an_upload_whose_next_attempt_is_later(new_upload, queue):
    new_upload().reschedule("OSError: the storage is down", 600, is_sent=False)
    assert "default: 0 sent again" in run("recover")

    assert "default: 1 sent again" in run("recover", "--now")

    assert len(list(queue.folder.glob("*.msg"))) == 1


def test_recover_can_be_limited_to_a_database(new_upload, queue, settings):
    settings.ASYNC_FORMS = {"RESEND_AFTER": 1e-6}
    new_upload()

    assert "default" not in run("recover", "--database", "other")
    assert list(queue.folder.glob("*.msg")) == []


# Mistakes of an operator


@pytest.mark.parametrize("what", ["retry", "purge"])
@pytest.mark.parametrize(
    ("arguments", "error"),
    [([], "--all"), (["dune"], "dune"), ([uuid.uuid4(), "--all"], "--all")],
    ids=["neither ids nor --all", "no id", "both"],
)
def test_retry_and_purge_need_ids_or_all(new_upload, what, arguments, error):
    failed = fail(new_upload())

    with pytest.raises(CommandError, match=error):
        run(what, *arguments)

    assert Upload.objects.failed().get() == failed


@pytest.mark.parametrize("what", ["retry", "purge"])
def test_retry_and_purge_name_an_id_that_no_failed_upload_has(what):
    unknown = uuid.uuid4()

    with pytest.raises(CommandError, match=str(unknown)):
        run(what, unknown)


@pytest.mark.parametrize("what", ["retry", "purge"])
def test_a_pending_upload_is_neither_retried_nor_purged(new_upload, what):
    pending = new_upload()

    with pytest.raises(CommandError, match=str(pending.pk)):
        run(what, pending.pk)

    assert Upload.objects.pending().get() == pending


def test_the_command_needs_a_subcommand():
    with pytest.raises(CommandError, match=r"list\|retry\|recover\|purge"):
        run()


def test_an_unknown_database_is_refused():
    with pytest.raises(CommandError, match="nowhere"):
        run("list", "--database", "nowhere")
