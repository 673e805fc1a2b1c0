"""Forged messages: a real worker refuses them, and continues."""

import json
import pickle
import re
import uuid
from pathlib import Path

import pytest
from celery import current_app
from django.utils import timezone

from django_async_forms.celery_delivery import SAVE_IMAGE
from django_async_forms.models import Upload
from django_async_forms.uploads import save_image
from tests import pictures
from tests.project.models import Photo
from tests.worker import wait_until, wait_until_no_upload_is_left

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "other"]),
    pytest.mark.parametrize("staging", ["database"], indirect=True),
]

#: For tests that do not depend on the broker. Every machine has this one.
ANY_BROKER = pytest.mark.parametrize("broker_name", ["filesystem"], indirect=True)
PICKLE = "application/x-python-serialize"


class Touch:
    """Makes a file when its pickle is loaded. An attacker's pickle would do worse."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def publish(worker):
    """Puts any bytes into the worker's queue, as anyone with access to the broker can."""

    def publish(body, content_type, headers=None):
        queue = current_app.conf.task_default_queue
        with current_app.connection_for_write() as connection, connection.Producer() as producer:
            producer.publish(
                body,
                routing_key=queue,
                content_type=content_type,
                content_encoding="binary" if isinstance(body, bytes) else "utf-8",
                headers=headers or {},
            )

    return publish


@pytest.fixture
def goes_on(worker, in_memory):
    """Checks that the worker still works."""

    def show():
        data = pictures.jpeg()
        photo = Photo.objects.create(title="Afterwards")
        save_image(in_memory(data=data), photo)
        wait_until_no_upload_is_left()
        photo.refresh_from_db()
        assert pictures.stored(photo.image) == data

    return show


@pytest.fixture
def pending(photo):
    """A pending upload for which no message was sent."""
    return Upload.objects.create(
        model="project.photo",
        object_pk=str(photo.pk),
        field_name="image",
        name="dune.jpg",
        file={},
        staged="default/nothing",
        due_at=timezone.now(),
    )


def headers_of(task, task_id):
    """Return Celery's headers for a message to a task."""
    return {"lang": "py", "task": task, "id": task_id, "root_id": task_id, "group": None}


def wait_for_log(worker, pattern):
    wait_until(lambda: re.search(pattern, worker.text()), f"{pattern} in the worker's log")


def refusals(worker):
    """Return the lines of the worker's log about a pickle."""
    return re.findall(r"^\[.*Refusing to deserialize.*pickle", worker.text(), re.MULTILINE)


@pytest.mark.parametrize("is_addressed", [True, False], ids=["for the task", "for no task"])
def test_a_pickled_body_is_refused_and_never_loaded(
    is_addressed, worker, publish, goes_on, tmp_path
):
    marker = tmp_path / f"executed-{uuid.uuid4()}"
    body = pickle.dumps(((Touch(marker), "default"), {}, {}))
    pickle.loads(body)
    assert marker.exists()  # The log would show it.
    marker.unlink()
    before = len(refusals(worker))

    headers = headers_of(SAVE_IMAGE, str(uuid.uuid4())) if is_addressed else None
    publish(body, PICKLE, headers)

    wait_until(lambda: len(refusals(worker)) > before, "the pickle is refused")
    goes_on()
    assert not marker.exists()
    assert len(refusals(worker)) == before + 1  # The broker does not deliver it for ever.


@ANY_BROKER
def test_a_pickled_body_that_says_it_is_json_is_never_loaded(worker, publish, goes_on, tmp_path):
    marker = tmp_path / "executed"
    task_id = str(uuid.uuid4())

    publish(
        pickle.dumps(((Touch(marker), "default"), {}, {})),
        "application/json",
        headers_of(SAVE_IMAGE, task_id),
    )

    wait_for_log(worker, "DecodeError")
    goes_on()
    assert not marker.exists()


@ANY_BROKER
def test_yaml_that_makes_objects_is_refused(worker, publish, goes_on, tmp_path):
    marker = tmp_path / "executed"
    body = f"!!python/object/apply:pathlib.Path.touch [{marker}]"

    publish(body, "application/x-yaml", headers_of(SAVE_IMAGE, str(uuid.uuid4())))

    wait_for_log(worker, r"Refusing to deserialize.*yaml")
    goes_on()
    assert not marker.exists()


@ANY_BROKER
def test_a_task_that_nobody_registered_is_refused(worker, publish, goes_on):
    task_id = str(uuid.uuid4())

    publish(json.dumps([["id"], {}, {}]), "application/json", headers_of("os.system", task_id))

    wait_for_log(worker, "unregistered task.*'os.system'")
    goes_on()


@ANY_BROKER
def test_a_message_with_other_arguments_changes_nothing(worker, pending, witness):
    forged = [
        ([str(uuid.uuid4()), "default"], {}),
        ([str(uuid.uuid4()), "nowhere"], {}),
        ([], {}),
        (["../../etc/passwd", "default"], {}),
        ([{"__class__": "Upload"}, {"__class__": "str"}], {}),
        ([str(pending.pk), "default", "and", "more"], {}),
        ([], {"upload_id": str(pending.pk), "using": ["default"]}),
        (["a" * 1_000_000, "default"], {}),
    ]

    for arguments, keywords in forged:
        task_id = str(uuid.uuid4())
        current_app.send_task(SAVE_IMAGE, arguments, keywords, task_id=task_id)
        wait_for_log(worker, rf"{task_id}\] (succeeded|raised unexpected: TypeError)")

    pending.refresh_from_db()
    assert pending.attempts == 0
    assert witness.notes("storing") == []


@ANY_BROKER
def test_a_message_cannot_carry_more_than_the_id_of_an_upload(worker, pending, witness):
    for more in ({"name": "../../evil.jpg"}, {"staged": "/etc/passwd"}, {"instance": 1}):
        task_id = str(uuid.uuid4())
        keywords = {"upload_id": str(pending.pk), "using": "default", **more}
        current_app.send_task(SAVE_IMAGE, [], keywords, task_id=task_id)
        wait_for_log(worker, rf"{task_id}\] raised unexpected: TypeError")

    pending.refresh_from_db()
    assert pending.attempts == 0
    assert witness.notes("storing") == []


@ANY_BROKER
def test_recovery_of_an_unknown_database_changes_nothing(worker, goes_on):
    task_id = str(uuid.uuid4())

    current_app.send_task("django_async_forms.recover_uploads", ["nowhere"], task_id=task_id)

    wait_for_log(worker, rf"{task_id}\] (succeeded|raised unexpected)")
    goes_on()
