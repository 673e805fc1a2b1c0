"""A worker of django-tasks-db saves images, and recovery does all that it does with Celery."""

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest
from django.core.checks import run_checks
from django.db import OperationalError
from django.forms import modelform_factory
from django_tasks_db import DatabaseBackend
from django_tasks_db.models import DBTaskResult

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.tasks import recover_uploads
from tests import pictures
from tests.project.models import Photo
from tests.test_recovery import *  # noqa: F403 - Each of its tests runs on these tasks.
from tests.worker import DEADLINE, ROOT, wait_until

# The table of tasks is in the database that is down here, so nothing can be sent.
del test_a_database_that_is_down_does_not_keep_another_from_being_recovered  # noqa: F821
del test_a_database_that_has_always_been_down_does_not_keep_another_from_being_recovered  # noqa: F821

committing = pytest.mark.django_db(transaction=True, databases=["default", "other"])


class Table:
    """The queue: a table without a worker."""

    def take(self):
        """Take all tasks out of the queue; return the id and the database of each."""
        tasks = DBTaskResult.objects.ready()
        taken = sorted(tuple(task.args_kwargs["args"]) for task in tasks)
        tasks.delete()
        return taken


@pytest.fixture
def mailbox():
    return Table()


@pytest.fixture
def broker_down(monkeypatch):
    """Makes the queue refuse tasks in a block."""

    def refuse(*args):
        raise OperationalError("The table is locked.")

    @contextmanager
    def refusing():
        with monkeypatch.context() as patched:
            patched.setattr(DatabaseBackend, "enqueue", refuse)
            yield

    return refusing


# With a worker:


@pytest.fixture
def start(tmp_path):
    """Starts workers, which end when the queue is empty, in other processes."""
    started = []

    def start():
        command = [sys.executable, "-m", "django", "db_worker", "--batch", "--no-startup-delay"]
        environment = {
            **os.environ,
            "TEST_WORKER": "1",
            "TEST_FINAL_STORAGE": "tests.project.witness.WitnessStorage",
            "DJANGO_SETTINGS_MODULE": "tests.compatibility.tasks.settings",
            "PYTHONWARNINGS": "ignore",
        }
        worker = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,  # The worker ends with this process, see witness.py.
            start_new_session=True,
        )
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.kill()
        worker.wait(DEADLINE)
        worker.stdin.close()


@pytest.fixture
def real_time(monkeypatch, clock):
    """Lets the time of this process go on, because the worker's does."""
    monkeypatch.undo()


def post(in_memory, data):
    form_class = modelform_factory(Photo, AsyncImageModelForm, fields=["title", "image"])
    return form_class({"title": "Dune"}, {"image": in_memory(data=data)}).save()


@committing
def test_a_worker_saves_the_image_of_a_form(start, real_time, shared_media, in_memory):
    data = pictures.jpeg()
    photo = post(in_memory, data)

    assert start().wait(DEADLINE) == 0

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data
    assert not Upload.objects.exists()


@committing
def test_a_failed_attempt_is_made_again_after_its_pause(start, real_time, witness, in_memory):
    data = pictures.jpeg()
    photo = post(in_memory, data)
    witness.order("fail")

    assert start().wait(DEADLINE) == 0

    [later] = DBTaskResult.objects.filter(status="READY")
    assert later.run_after > later.enqueued_at
    assert Upload.objects.pending().get().attempts == 1
    witness.withdraw("fail")
    wait_until(lambda: DBTaskResult.objects.ready().exists(), "the pause ends")
    assert start().wait(DEADLINE) == 0
    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data


@committing
def test_recovery_sends_an_upload_again_whose_worker_was_killed(
    start, real_time, witness, in_memory, settings
):
    settings.ASYNC_FORMS = {**settings.ASYNC_FORMS, "RESEND_AFTER": 0.1}
    data = pictures.jpeg()
    photo = post(in_memory, data)
    witness.order("hold")
    worker = start()
    wait_until(lambda: witness.notes("storing"), "the attempt begins")
    worker.kill()
    worker.wait(DEADLINE)
    witness.withdraw("hold")
    # The backend leaves the task of a worker that has died as it is.
    assert DBTaskResult.objects.get().status == "RUNNING"
    Upload.objects.get().mark_due()

    recover_uploads()
    assert start().wait(DEADLINE) == 0

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data


@pytest.mark.django_db(databases=["default", "other"])
def test_the_checks_ask_for_no_celery():
    found = {message.id for message in run_checks(databases=["default"])}

    assert not found & {f"django_async_forms.{name}" for name in ("E001", "W013", "W014", "W022")}
