"""docs/howto/tenants.rst: a worker and beat of tenant-schemas-celery know the schemas."""

import os
import signal
import subprocess
import sys

import pytest
from celery import current_app
from django.db import connection, transaction
from django.utils import timezone
from django_tenants.utils import schema_context
from mysite.celery import app
from tenant_schemas_celery.scheduler import TenantAwareScheduler

from django_async_forms.models import Upload
from tests import pictures, services
from tests.compatibility.tenants.cases import (  # noqa: F401
    SCHEMAS,
    Photo,
    names,
    post,
    public,
    save,
    schemas,
    uploads,
)
from tests.worker import ROOT, wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="Schemas are PostgreSQL's"),
]


@pytest.fixture
def worker(public, patient, shared_media, tmp_path, monkeypatch):  # noqa: F811
    """A worker of the page's app, to which this process sends with the same app."""
    broker = services.Broker("filesystem", services.BROKERS["filesystem"])
    previous = current_app._get_current_object()
    app.conf.update(
        broker_url=broker.url,
        broker_transport_options=broker.options,
        task_default_queue=broker.queue,
    )
    app.set_current()
    app.set_default()
    log = tmp_path / "worker.log"
    environment = {**os.environ, **broker.environment(), "TEST_WORKER": "1"}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "celery", "-A", "mysite", "worker", "--pool", "solo"]
    # The worker ends with this process: see witness.py.
    command += ["-l", "INFO", "--without-mingle", "--without-gossip", "-I", "tests.project.witness"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until(lambda: " ready." in log.read_text(), "the worker is ready")
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdin.close()
        broker.remove()
        previous.set_current()
        previous.set_default()
        print(log.read_text())


def wait_until_all_is_attached():
    wait_until(lambda: not any(uploads().values()), "every image is attached by the worker")


def test_a_worker_attaches_the_images_of_all_tenants(worker, client):
    data = {name: pictures.jpeg() for name in SCHEMAS}
    for name in SCHEMAS:
        post(client, name, "/add/", "New", data[name])

    wait_until_all_is_attached()

    for name in SCHEMAS:
        with schema_context(name):
            assert pictures.stored(Photo.objects.get().image) == data[name]


def test_beat_recovers_the_uploads_of_all_tenants(worker, in_memory):
    for name in SCHEMAS:
        with schema_context(name), transaction.atomic():
            save(name, "New", in_memory("new.jpg"))
            connection.run_on_commit.clear()  # As if the process were killed at the commit.
            Upload.objects.update(due_at=timezone.now())
    assert uploads() == {"public": 0, "blue": 1, "green": 1}

    scheduler = TenantAwareScheduler(app=app)
    [entry] = scheduler.schedule.values()
    scheduler.apply_entry(entry)

    wait_until_all_is_attached()
    assert [names(name) for name in SCHEMAS] == [["blue/new.jpg"], ["green/new.jpg"]]
