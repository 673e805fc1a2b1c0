"""Fixtures that start and stop real Celery workers on the test's databases."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from celery import Celery, current_app
from django.conf import settings
from django.core.files.storage import storages
from kombu import pools

from django_async_forms import delivery
from django_async_forms.models import Upload
from django_async_forms.storage import DatabaseStorage, StagingFileSystemStorage
from django_async_forms.tasks import save_image_task
from tests import services
from tests.project import witness as witness_module

ROOT = Path(__file__).parent.parent
#: The longest wait for anything on a slow and busy machine, in seconds.
DEADLINE = 60


def wait_until(condition, what):
    """Wait until ``condition()`` is true, and return what it returned."""
    latest = time.monotonic() + DEADLINE
    while not (result := condition()):
        assert time.monotonic() < latest, f"Not within {DEADLINE} s: {what}"
        time.sleep(0.02)
    return result


def wait_until_no_upload_is_left(using="default"):
    """Wait until workers have settled all uploads of a database."""
    wait_until(lambda: not Upload.objects.using(using).exists(), "every image is saved by a worker")


def staged_files(using="default"):
    """Return the names of all staged files."""
    known = "async_forms" in storages.backends
    storage = storages["async_forms"] if known else DatabaseStorage(using)

    def walk(folder):
        try:
            folders, files = storage.listdir(folder)
        except FileNotFoundError:
            return  # Nothing has ever been staged.
        yield from (f"{folder}/{name}" for name in files)
        for name in folders:
            yield from walk(f"{folder}/{name}")

    return list(walk(using))


def work_on(upload):
    """Deliver the message of an upload in this process. Celery retries without a pause."""
    save_image_task.apply(args=[str(upload.pk), upload.using])


def give_up(upload):
    """Keep an upload as failed, as a worker does after the last attempt."""
    Upload.objects.filter(pk=upload.pk).update(state="failed", error="OSError: no space")


@contextmanager
def sending_to(url, **conf):
    """Make this process send its messages to another broker, as if configured to."""
    previous = current_app._get_current_object()
    app = Celery("tests.project")
    own = {
        name.removeprefix("CELERY_").lower(): getattr(settings, name)
        for name in dir(settings)
        if name.startswith("CELERY_")
    }
    app.config_from_object({**own, "broker_transport_options": {}, "broker_url": url, **conf})
    app.set_default()
    try:
        yield app
    finally:
        delivery.finish()  # Otherwise a late message goes to the next test's broker.
        app.close()
        previous.set_current()
        previous.set_default()
        pools.reset()


def sending_to_broker(broker):
    """Make this process send its messages to one of the tests' brokers."""
    return sending_to(
        broker.url, broker_transport_options=broker.options, task_default_queue=broker.queue
    )


class Worker:
    """``celery -A tests.project worker`` with its processes, in its own process group."""

    def __init__(self, broker, log, staging="database", processes=2, **async_forms):
        self.log = log
        self._starts_at = log.stat().st_size
        database = os.environ.get("TEST_DATABASE", "sqlite")
        environment = {
            **os.environ,
            **broker.environment(),
            "TEST_WORKER": "1",
            "TEST_DATABASE": database,
            "TEST_STAGING": staging,
            "TEST_FINAL_STORAGE": "tests.project.witness.WitnessStorage",
            "PYTHONWARNINGS": "ignore",
        }
        if async_forms:
            environment["TEST_ASYNC_FORMS"] = json.dumps(async_forms)
        command = [sys.executable, "-m", "celery", "-A", "tests.project", "worker"]
        command += [
            "--pool",
            "prefork",
            "-c",
            str(processes),
            "-l",
            "INFO",
            "-n",
            f"{broker.queue}@%h",
        ]
        # Do not ask for other workers on the server, which takes a second.
        command += ["--without-mingle", "--without-gossip", "-I", "tests.project.witness"]
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,  # The worker ends with this process, see witness.py.
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        #: The id of the process group and of the worker's main process.
        self.group = self._process.pid

    def wait_until_ready(self):
        def is_ready():
            assert self._process.poll() is None, f"The worker did not start:\n{self.text()}"
            return re.search(r"@\S+ ready\.$", self.text(), re.MULTILINE)

        wait_until(is_ready, "the worker is ready")
        return self

    def text(self):
        """Return the log of this worker."""
        with self.log.open(errors="replace") as file:
            file.seek(self._starts_at)
            return file.read()

    def ask_to_stop(self):
        """Tell the worker to finish its task and stop, as an operator would."""
        self._process.terminate()
        wait_until(lambda: "Warm shutdown" in self.text(), "the worker shuts down")

    def wait_until_stopped(self):
        """Wait until the worker has stopped."""
        try:
            assert self._process.wait(DEADLINE) == 0
        finally:
            self.kill()

    def kill(self):
        """Kill the process and its children immediately, as a power cut does."""
        with suppress(ProcessLookupError):  # It has ended already.
            os.killpg(self.group, signal.SIGKILL)
        self._process.wait(DEADLINE)
        self._process.stdin.close()


class Workers:
    """Starts workers for one broker."""

    def __init__(self, broker, folder):
        self.broker = broker
        self.log = folder / f"{broker.queue}.log"
        self.log.touch()
        self._started = []

    def start(self, **options):
        worker = Worker(self.broker, self.log, **options)
        self._started.append(worker)
        return worker.wait_until_ready()

    def kill(self):
        for worker in self._started:
            worker.kill()


@pytest.fixture(params=list(services.BROKERS))
def broker_name(request):
    """Runs the test with each available broker; returns its name."""
    services.need_broker(request.param)
    return request.param


@pytest.fixture
def asking_anew(monkeypatch):
    """Resets the circuit breaker, which would not ask a broker for some seconds."""
    monkeypatch.setattr(delivery, "_open_until", 0.0)


@pytest.fixture
def patient(asking_anew, settings):
    """Waits longer than the default for a broker that does answer: a busy machine is slow."""
    settings.ASYNC_FORMS = {**getattr(settings, "ASYNC_FORMS", {}), "PUBLISH_TIMEOUT": 10}


@pytest.fixture
def broker(broker_name, patient):
    """The test's own queue on each broker, to which this process sends."""
    broker = services.Broker(broker_name, services.BROKERS[broker_name])
    with sending_to_broker(broker):
        yield broker
    broker.remove()


@pytest.fixture
def queue(patient):
    """A queue in a folder, to which this process sends and which has no worker."""
    broker = services.Broker("filesystem", "filesystem://")
    with sending_to_broker(broker):
        yield broker
    broker.remove()


@pytest.fixture
def shared_media(settings):
    """The MEDIA_ROOT of workers, emptied."""
    settings.MEDIA_ROOT = settings.DATA / "media"
    shutil.rmtree(settings.MEDIA_ROOT, ignore_errors=True)


@pytest.fixture
def witness(shared_media):
    """The notes of workers from now on."""
    witness = witness_module.witness()
    (witness.folder / "notes").unlink(missing_ok=True)
    yield witness
    for order in witness.folder.glob("order-*"):
        order.unlink()


@pytest.fixture
def workers(broker, witness, transactional_db, tmp_path):
    """Starts the test's own workers for its own queue: ``workers.start()``."""
    workers = Workers(broker, tmp_path)
    yield workers
    workers.kill()
    print(workers.log.read_text(errors="replace"))  # Shown when the test has failed.


@pytest.fixture(scope="session")
def _long_running(django_db_setup, tmp_path_factory):
    """The shared workers by broker and staging storage, because starting one is slow."""
    running = {}
    yield running
    for workers in running.values():
        workers.worker.ask_to_stop()
    for workers in running.values():
        workers.worker.wait_until_stopped()
        workers.broker.remove()


@pytest.fixture
def worker(
    _long_running,
    broker_name,
    staging,
    patient,
    witness,
    settings,
    use_staging_storage,
    tmp_path_factory,
):
    """A running worker for each broker and staging storage, to which this process sends."""
    if staging == "files":
        use_staging_storage(StagingFileSystemStorage, location=settings.DATA / "staging")
    key = broker_name, staging
    if key not in _long_running:
        broker = services.Broker(broker_name, services.BROKERS[broker_name])
        workers = Workers(broker, tmp_path_factory.mktemp("workers"))
        workers.worker = workers.start(staging=staging)
        _long_running[key] = workers
    workers = _long_running[key]
    before = workers.log.stat().st_size

    def logged():
        with workers.log.open(errors="replace") as log:
            log.seek(before)
            return log.read()

    with sending_to_broker(workers.broker):
        yield workers.worker
    print(logged())  # Shown when the test has failed.
    # The end of a task after its commit could deadlock with emptying the tables.
    wait_until(lambda: _has_ended_what_it_began(logged()), "the worker has ended its tasks")


def _has_ended_what_it_began(text):
    """Tell from the log of a worker whether its tasks have ended. A retry appears as it begins."""
    began = re.findall(r"Task \S+\[\S+\] received$", text, re.MULTILINE)
    ended = re.findall(r"Task \S+\[\S+\] (?:succeeded|retry|raised|ignored|rejected)", text)
    return len(began) <= len(ended) + len(re.findall("Task handler raised error", text))
