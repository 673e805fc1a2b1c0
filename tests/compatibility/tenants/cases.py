"""django-tenants: uploads stay in the schema of their instance, and a worker finds them there."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from django.core.checks import run_checks
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection, transaction
from django.db.utils import ProgrammingError
from django.forms import modelform_factory
from django.template import Context, Template
from django.utils import timezone
from django_tenants.utils import schema_context
from psycopg import IsolationLevel

from django_async_forms import recovery
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import StoredChunk, Upload
from django_async_forms.tasks import save_image_task
from django_async_forms.test import save_pending_uploads
from tests import pictures, services
from tests.worker import ROOT, sending_to, sending_to_broker, wait_until

from .models import Client, Domain
from .photos.models import Photo

SCHEMAS = ["blue", "green"]


pytestmark = pytest.mark.django_db
committing = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="session")
def schemas(django_db_setup, django_db_blocker):
    """Make two tenants once, because their schemas take seconds."""
    with django_db_blocker.unblock():
        _add_tenants()


def _add_tenants():
    for name in SCHEMAS:
        client = Client(schema_name=name, name=name)
        client.save(verbosity=0)  # This makes the schema if it does not exist.
        Domain.objects.create(domain=host(name), tenant=client)


@pytest.fixture(autouse=True)
def public(schemas, db, request):
    """Starts each test in the public schema, with two empty tenants."""
    connection.set_schema_to_public()
    commits = not connection.in_atomic_block
    if not Client.objects.exists():  # The clean-up after a test that commits deletes them.
        _add_tenants()
    yield
    for name in SCHEMAS if commits else ():
        with schema_context(name):
            Upload.objects.all().discard()
            Photo.objects.all().delete()
    connection.set_schema_to_public()


def form_for(data, files, instance=None):
    form_class = modelform_factory(Photo, AsyncImageModelForm, fields=["title", "image"])
    return form_class(data, files, instance=instance)


def save(schema, title, file, instance=None):
    with schema_context(schema):
        return form_for({"title": title}, {"image": file}, instance).save()


def post(client, schema, page, title, data=None):
    image = SimpleUploadedFile("new.jpg", data or pictures.jpeg(), "image/jpeg")
    return client.post(page, {"title": title, "image": image}, headers={"host": host(schema)})


def host(schema):
    return f"{schema}.testserver"


def uploads():
    """Return the number of uploads in each schema."""
    found = {}
    for name in ["public", *SCHEMAS]:
        with schema_context(name):
            found[name] = Upload.objects.count()
    return found


def names(schema):
    """Return the names of the images of a tenant."""
    with schema_context(schema):
        return list(Photo.objects.order_by("pk").values_list("image", flat=True))


def work(schema):
    """Do the work of a worker that knows the schema."""
    with schema_context(schema):
        return save_pending_uploads()


# Checks


def test_the_checks_find_no_error_with_the_outbox_in_both_lists():
    call_command("check", databases=["default"])

    assert [message.id for message in run_checks(databases=["default"])] == []


def test_the_checks_find_no_error_with_the_outbox_in_the_tenants_schemas_only(settings):
    settings.SHARED_APPS = [app for app in settings.SHARED_APPS if app != "django_async_forms"]

    call_command("check", databases=["default"])


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_checks_find_no_error_in_the_schema_of_a_tenant(schema):
    with schema_context(schema):
        call_command("check", databases=["default"])


def test_the_checks_find_an_outbox_that_is_not_in_the_tenants_list(settings):
    settings.TENANT_APPS = [app for app in settings.TENANT_APPS if app != "django_async_forms"]

    with schema_context("blue"):
        found = {message.id for message in run_checks()}

    assert found == {"django_async_forms.E011"}


# Requests


def test_a_request_keeps_photo_and_upload_in_the_schema_of_its_tenant(client):
    assert post(client, "blue", "/add/", "Blue").status_code == 302

    assert uploads() == {"public": 0, "blue": 1, "green": 0}
    assert names("blue") == [""]
    assert names("green") == []


def test_the_staged_bytes_are_in_the_schema_of_the_tenant(client):
    post(client, "blue", "/add/", "Blue")

    with schema_context("blue"):
        assert StoredChunk.objects.exists()
    with schema_context("green"):
        assert not StoredChunk.objects.exists()


def test_the_image_is_attached_in_the_schema_of_its_tenant(client):
    post(client, "blue", "/add/", "Blue")

    assert work("green") == 0
    assert work("blue") == 1

    assert names("blue") == ["blue/new.jpg"]


def test_an_update_is_attached_in_the_schema_of_its_tenant(client, in_memory):
    with schema_context("blue"):
        photo = Photo.objects.create(title="Old", image=in_memory("old.jpg"))

    post(client, "blue", f"/change/{photo.pk}/", "New")
    assert names("blue") == ["blue/old.jpg"]

    work("blue")
    assert names("blue") == ["blue/new.jpg"]


# Equal primary keys


@pytest.fixture
def twins(in_memory):
    """A photo of each tenant, with the same key and a pending image; returns their bytes too."""
    data = {}
    for name in SCHEMAS:
        with schema_context(name):
            photo = Photo.objects.create(pk=1, title="Old", image=in_memory("old.jpg"))
            data[name] = pictures.jpeg()
            form_for({"title": "New"}, {"image": in_memory("new.jpg", data[name])}, photo).save()
    return data


def test_photos_of_one_key_get_their_own_images(twins):
    for name in SCHEMAS:
        work(name)

    for name in SCHEMAS:
        with schema_context(name):
            assert pictures.stored(Photo.objects.get().image) == twins[name]


def test_a_newer_upload_supersedes_none_of_another_tenant(twins, in_memory):
    with schema_context("green"):
        photo = Photo.objects.get()
    save("green", "Newer", in_memory("newer.jpg"), photo)

    assert uploads() == {"public": 0, "blue": 1, "green": 1}
    work("blue")
    assert names("blue") == ["blue/new.jpg"]


def test_deleting_discards_no_upload_of_another_tenant(twins):
    with schema_context("green"):
        Photo.objects.get().delete()

    assert uploads() == {"public": 0, "blue": 1, "green": 0}


def test_clearing_discards_no_upload_of_another_tenant(twins):
    with schema_context("green"):
        form_for({"title": "New", "image-clear": "on"}, {}, Photo.objects.get()).save()

    assert uploads() == {"public": 0, "blue": 1, "green": 0}


def test_a_token_of_another_tenant_is_refused(twins, client):
    work("green")
    token = token_in_page("blue")

    response = client.post(
        "/async-forms/status/",
        json.dumps({"tokens": [token]}),
        content_type="application/json",
        headers={"host": host("green")},
    )

    assert response.json() == {"images": {}}


def test_a_token_is_accepted_by_its_own_tenant(twins, client):
    token = token_in_page("blue")

    response = client.post(
        "/async-forms/status/",
        json.dumps({"tokens": [token]}),
        content_type="application/json",
        headers={"host": host("blue")},
    )

    (image,) = response.json()["images"].values()
    assert image["state"] == "pending"


def token_in_page(schema):
    """Return the token in the page of a tenant's photo."""
    template = Template('{% load async_forms %}{% async_image photo "image" %}')
    with schema_context(schema):
        page = template.render(Context({"photo": Photo.objects.get()}))
    return re.search('data-token="([^"]+)"', page)[1]


# Messages and recovery


def test_a_message_in_the_wrong_schema_is_logged_and_loses_nothing(client, caplog):
    post(client, "blue", "/add/", "Blue")
    with schema_context("blue"):
        upload = Upload.objects.get()

    with schema_context("green"):
        save_image_task.apply(args=[str(upload.pk), "default"])

    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert str(upload.pk) in record.getMessage()
    assert "schema" in record.getMessage()
    assert uploads() == {"public": 0, "blue": 1, "green": 0}
    assert work("blue") == 1
    assert names("blue") == ["blue/new.jpg"]


def test_the_context_of_an_upload_has_the_schema_of_its_request(client):
    post(client, "blue", "/add/", "Blue")

    with schema_context("blue"):
        assert Upload.objects.get().context["schema"] == "blue"


def test_recovery_in_one_schema_leaves_the_staged_files_of_another(location, in_memory):
    save("blue", "Blue", in_memory("new.jpg"))
    (staged,) = [path for path in location.rglob("*") if path.is_file()]
    old = time.time() - 10 * 24 * 3600
    os.utime(staged, (old, old))

    with schema_context("green"):
        recovery.recover("default")

    assert staged.exists()


def test_recovery_in_the_public_schema_leaves_the_staged_files_of_tenants(location, in_memory):
    save("blue", "Blue", in_memory("new.jpg"))
    (staged,) = [path for path in location.rglob("*") if path.is_file()]
    old = time.time() - 10 * 24 * 3600
    os.utime(staged, (old, old))

    recovery.recover("default")

    assert staged.exists()


@committing
def test_an_upload_that_could_not_be_sent_is_due_immediately_in_its_schema(in_memory, asking_anew):
    with sending_to("redis://127.0.0.1:1/0"):
        save("blue", "Blue", in_memory("new.jpg"))

    with schema_context("blue"):
        assert Upload.objects.get().due_at <= timezone.now() + timedelta(seconds=5)


@committing
@pytest.mark.parametrize("shared", [True, False], ids=["in both lists", "in the tenants' only"])
def test_a_newer_upload_supersedes_the_older_at_repeatable_read(shared, in_memory, monkeypatch):
    with schema_context("blue"):
        photo = Photo.objects.create(title="Old")
        form_for({"title": "New"}, {"image": in_memory("new.jpg")}, photo).save()
    monkeypatch.setattr(connection, "isolation_level", IsolationLevel.REPEATABLE_READ)
    connection.set_schema_to_public()
    if not shared:
        _rename_table("django_async_forms_upload", "hidden")
    try:
        save("blue", "Newer", in_memory("newer.jpg"), photo)
    except ProgrammingError as error:
        pytest.fail(f"It looked in another schema: {error}")
    finally:
        if not shared:
            connection.set_schema_to_public()
            _rename_table("hidden", "django_async_forms_upload")

    assert uploads()["blue"] == 1


def _rename_table(name, new_name):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE public.{name} RENAME TO {new_name}")


# A worker


@pytest.fixture
def worker(public, patient, shared_media, tmp_path):
    """A worker for all tenants, whose Celery app names the schema in its messages."""
    broker = services.Broker("filesystem", services.BROKERS["filesystem"])
    log = tmp_path / "worker.log"
    environment = {
        **os.environ,
        **broker.environment(),
        "TEST_WORKER": "1",
        "DJANGO_SETTINGS_MODULE": "tests.compatibility.tenants.settings",
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, "-m", "celery", "-A", "tests.compatibility.tenants", "worker"]
    command += ["--pool", "solo", "-l", "INFO", "--without-mingle", "--without-gossip"]
    # The worker ends with this process: see witness.py.
    command += ["-I", "tests.project.witness"]
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
        with sending_to_broker(broker):
            wait_until(lambda: " ready." in log.read_text(), "the worker is ready")
            yield log
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdin.close()
        broker.remove()
        print(log.read_text())


def _wait_until_all_is_attached():
    wait_until(lambda: not any(uploads().values()), "every image is attached by the worker")


@committing
def test_the_worker_attaches_the_images_of_all_tenants(worker, client):
    data = {name: pictures.jpeg() for name in SCHEMAS}
    for name in SCHEMAS:
        post(client, name, "/add/", "New", data[name])

    _wait_until_all_is_attached()

    for name in SCHEMAS:
        with schema_context(name):
            photo = Photo.objects.get()
            assert photo.image.name == f"{name}/new.jpg"
            assert pictures.stored(photo.image) == data[name]


@committing
def test_the_worker_attaches_uploads_that_a_command_for_all_tenants_recovers(worker, in_memory):
    for name in SCHEMAS:
        with schema_context(name), transaction.atomic():
            save(name, "New", in_memory("new.jpg"))
            _forget_messages()
            Upload.objects.update(due_at=timezone.now())
    assert uploads() == {"public": 0, "blue": 1, "green": 1}

    call_command("all_tenants_command", "async_uploads", "recover")

    _wait_until_all_is_attached()
    assert [names(name) for name in SCHEMAS] == [["blue/new.jpg"], ["green/new.jpg"]]


def _forget_messages():
    """Sends no message at the commit, as if the process were killed there."""
    connection.run_on_commit.clear()
