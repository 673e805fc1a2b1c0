"""Log records have an event and stable keys, as attributes or as JSON."""

import json
import logging

import pytest

from django_async_forms.log import JSONFormatter, KeysFilter
from django_async_forms.recovery import recover
from tests.worker import work_on

pytestmark = pytest.mark.django_db


@pytest.fixture
def records(caplog):
    """The records of the package, with their keys as attributes."""
    caplog.handler.addFilter(KeysFilter())
    caplog.set_level(logging.INFO, "django_async_forms")
    return lambda: {record.event: record for record in caplog.records}


def test_the_records_of_an_upload_have_its_id_and_their_event(records, new_upload):
    upload = new_upload()
    work_on(upload)

    found = records()
    assert list(found) == ["upload.staged", "upload.stored", "upload.attached"]
    assert {record.upload for record in found.values()} == {str(upload.pk)}
    assert found["upload.staged"].field == "project.Photo.image"


def test_a_failed_attempt_has_its_number_its_pause_and_its_error(
    records, new_upload, use_final_storage
):
    use_final_storage("tests.recipes.Full")
    work_on(new_upload())

    failed = records()["upload.attempt_failed"]
    assert failed.attempts > 1
    assert failed.pause > 0
    assert "No space left on device" in failed.error


def test_the_record_of_a_recovery_has_its_numbers(records):
    recover("default")

    finished = records()["recovery.finished"]
    assert finished.database == "default"
    assert (finished.sent, finished.purged, finished.expired, finished.abandoned) == (0, 0, 0, 0)


def make_record(message, *args, exc_info=None, name="django_async_forms"):
    return logging.LogRecord(name, logging.ERROR, "page.py", 1, message, args, exc_info)


def test_the_json_of_a_record_has_its_text_and_its_keys():
    line = JSONFormatter().format(
        make_record("Upload %s: not sent, left to recovery: %r", "id", TimeoutError("5 s"))
    )

    assert "\n" not in line
    found = json.loads(line)
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "ERROR",
        "logger": "django_async_forms",
        "message": "Upload id: not sent, left to recovery: TimeoutError('5 s')",
        "event": "upload.not_sent",
        "upload": "id",
        "error": "TimeoutError: 5 s",
    }


def test_the_json_of_an_error_is_one_line_with_its_traceback():
    try:
        raise OSError("No space left on device")
    except OSError as error:
        record = make_record("Upload %s: not marked as due.", "id", exc_info=(OSError, error, None))
        line = JSONFormatter().format(record)

    assert "\n" not in line
    assert "No space left on device" in json.loads(line)["traceback"]


def test_records_of_other_code_are_kept_as_they_are():
    record = make_record("%(count)d requests", {"count": 3}, name="django.request")
    assert KeysFilter().filter(record)

    found = json.loads(JSONFormatter().format(record))

    assert found["message"] == "3 requests"
    assert "event" not in found
