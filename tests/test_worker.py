"""From a browser's post to the attached image, with real workers on every broker."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import requests
from django import forms
from django.core.management import call_command
from django.db import connection
from django.urls import include, path

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.tasks import recover_uploads
from django_async_forms.views import AsyncImageCreateView
from tests import pictures
from tests.project.models import Elsewhere, Measured, Photo
from tests.worker import staged_files, wait_until, wait_until_no_upload_is_left

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "other"]),
    pytest.mark.urls("tests.test_worker"),
]

urlpatterns = [
    path("", include("tests.project.urls")),
    path(
        "measured/add/",
        AsyncImageCreateView.as_view(
            model=Measured, fields=["title", "image", "cover"], success_url="/photos/add/"
        ),
    ),
]

WITNESS_STORAGE = {"BACKEND": "tests.project.witness.WitnessStorage"}


#: For tests that do not depend on the broker. Every machine has this one.
ANY_BROKER = pytest.mark.parametrize("broker_name", ["filesystem"], indirect=True)


class Browser:
    """A client that gets a page with a form and posts it, like a person."""

    def __init__(self, address):
        self.address = address

    def post(self, page, title, **images):
        with requests.Session() as session:
            session.get(self.address + page).raise_for_status()
            response = session.post(
                self.address + page,
                data={"title": title, "csrfmiddlewaretoken": session.cookies["csrftoken"]},
                files={
                    name: (filename, data, "image/jpeg")
                    for name, (filename, data) in images.items()
                },
                allow_redirects=False,
            )
        assert response.status_code == 302, response.text
        return response


@pytest.fixture
def browser(live_server):
    return Browser(live_server.url)


@pytest.fixture
def photo(db):
    """A photo without an image."""
    return Photo.objects.create(title="Before")


def change(photo, title, data, browser):
    browser.post(f"/photos/{photo.pk}/change/", title, image=("dune.jpg", data))


def stored_files(settings):
    """Return the bytes of each photo in the storage, also while workers are running."""
    contents = []
    for file in (settings.MEDIA_ROOT / "photos").iterdir():
        with suppress(FileNotFoundError):  # A worker has just removed the file.
            contents.append(file.read_bytes())
    return contents


@pytest.mark.parametrize("size", [(64, 48), (2100, 1600)], ids=["small", "large"])
def test_a_posted_image_is_attached_by_a_worker(worker, browser, settings, size):
    data = pictures.jpeg(*size)
    assert (len(data) > settings.FILE_UPLOAD_MAX_MEMORY_SIZE) == (size == (2100, 1600))

    browser.post("/photos/add/", "Dune", image=("dune.jpg", data))
    wait_until_no_upload_is_left()

    photo = Photo.objects.get()
    assert photo.title == "Dune"
    assert photo.image.name.startswith("photos/dune")
    assert pictures.stored(photo.image) == data


def test_no_bytes_stay_staged_after_the_image_is_attached(worker, browser):
    browser.post("/photos/add/", "Dune", image=("dune.jpg", pictures.jpeg()))
    wait_until_no_upload_is_left()

    wait_until(lambda: not staged_files(), "the staged file is removed")


def test_two_images_of_one_form_are_attached_with_their_dimensions(worker, browser):
    image, cover = pictures.jpeg(40, 30), pictures.jpeg(20, 10)

    browser.post("/measured/add/", "Dune", image=("a.jpg", image), cover=("b.jpg", cover))
    wait_until_no_upload_is_left()

    measured = Measured.objects.get()
    assert pictures.stored(measured.image) == image
    assert pictures.stored(measured.cover) == cover
    assert (measured.width, measured.height) == (40, 30)
    assert (measured.cover_width, measured.cover_height) == (20, 10)


def test_a_burst_of_uploads_is_attached_each_to_its_instance(worker, browser):
    posted = {f"Photo {number}": pictures.jpeg() for number in range(20)}

    def post(title):
        browser.post("/photos/add/", title, image=("dune.jpg", posted[title]))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(post, posted))
    wait_until_no_upload_is_left()

    assert {photo.title: pictures.stored(photo.image) for photo in Photo.objects.all()} == posted


def test_an_instance_of_another_database_gets_its_image(worker, in_memory):
    data = pictures.jpeg()
    form_class = forms.modelform_factory(Elsewhere, AsyncImageModelForm, fields=["title", "image"])
    form_class({"title": "Dune"}, {"image": in_memory(data=data)}).save()
    wait_until_no_upload_is_left("other")

    assert pictures.stored(Elsewhere.objects.get().image) == data
    wait_until(lambda: not staged_files("other"), "the staged file is removed")


def test_a_second_upload_supersedes_one_that_a_worker_is_storing(
    worker, witness, photo, browser, settings
):
    first, second = pictures.jpeg(), pictures.jpeg()
    witness.order("hold")
    change(photo, "First", first, browser)
    wait_until(lambda: witness.notes("storing"), "the first image is being stored")

    change(photo, "Second", second, browser)
    witness.withdraw("hold")
    wait_until_no_upload_is_left()

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == second
    wait_until(lambda: len(witness.notes("stored")) == 2, "both images were stored")
    wait_until(
        lambda: stored_files(settings) == [second],
        "the file that was stored for nothing is removed",
    )


def test_only_the_worker_writes_to_the_storage(worker, witness, browser, settings):
    settings.STORAGES = {**settings.STORAGES, "default": WITNESS_STORAGE}

    browser.post("/photos/add/", "Dune", image=("dune.jpg", pictures.jpeg()))
    wait_until_no_upload_is_left()

    [(process, group)] = witness.notes("stored")
    assert process != os.getpid()
    assert group == worker.group


def test_image_saved_is_sent_only_in_the_worker(worker, witness, browser):
    browser.post("/photos/add/", "Dune", image=("dune.jpg", pictures.jpeg()))
    wait_until_no_upload_is_left()

    [(process, group)] = wait_until(lambda: witness.notes("image_saved"), "image_saved is sent")
    assert process != os.getpid()
    assert group == worker.group


def test_a_worker_that_starts_later_attaches_pending_images(workers, browser):
    data = pictures.jpeg()
    browser.post("/photos/add/", "Dune", image=("dune.jpg", data))

    workers.start()
    wait_until_no_upload_is_left()

    assert pictures.stored(Photo.objects.get().image) == data


def test_a_worker_that_is_stopped_finishes_its_image(workers, witness, browser):
    data = pictures.jpeg()
    worker = workers.start()
    witness.order("hold")
    browser.post("/photos/add/", "Dune", image=("dune.jpg", data))
    wait_until(lambda: witness.notes("storing"), "the image is being stored")

    worker.ask_to_stop()
    witness.withdraw("hold")
    worker.wait_until_stopped()

    assert pictures.stored(Photo.objects.get().image) == data
    assert not Upload.objects.exists()


@pytest.mark.parametrize("moment", ["storing", "stored"])
def test_another_worker_attaches_the_image_of_a_killed_worker(
    workers, broker, witness, browser, moment
):
    data = pictures.jpeg()
    worker = workers.start(RESEND_AFTER=0.1)
    witness.order("hold" if moment == "storing" else "hold-stored")
    browser.post("/photos/add/", "Dune", image=("dune.jpg", data))
    wait_until(lambda: witness.notes(moment), f"the image is {moment}")

    worker.kill()
    witness.withdraw("hold")
    witness.withdraw("hold-stored")
    assert Upload.objects.pending().count() == 1
    workers.start()
    if broker.name != "rabbitmq":  # RabbitMQ itself delivers the message again.
        wait_until(lambda: Upload.objects.due().exists(), "the upload is overdue")
        call_command("async_uploads", "recover")
    wait_until_no_upload_is_left()

    assert pictures.stored(Photo.objects.get().image) == data


def test_another_process_attaches_the_image_of_a_killed_process(workers, witness, browser):
    data = pictures.jpeg()
    workers.start()
    witness.order("hold")
    browser.post("/photos/add/", "Dune", image=("dune.jpg", data))
    [(child, _)] = wait_until(lambda: witness.notes("storing"), "the image is being stored")

    os.kill(child, signal.SIGKILL)
    witness.withdraw("hold")
    wait_until_no_upload_is_left()

    assert pictures.stored(Photo.objects.get().image) == data
    assert len(witness.notes("storing")) == 2


def test_a_message_that_got_lost_is_sent_again_by_the_recovery_task(workers, browser, settings):
    settings.ASYNC_FORMS = {**settings.ASYNC_FORMS, "RESEND_AFTER": 0.1}
    data = pictures.jpeg()
    browser.post("/photos/add/", "Dune", image=("dune.jpg", data))
    purge = recover_uploads.app.control.purge
    wait_until(lambda: purge() == 1, "the message, which is sent after the response, is lost")
    workers.start()
    wait_until(lambda: Upload.objects.due().exists(), "the upload is overdue")

    recover_uploads.delay()
    wait_until_no_upload_is_left()

    assert pictures.stored(Photo.objects.get().image) == data


@ANY_BROKER
def test_a_storage_that_fails_for_a_while_costs_no_image(workers, witness, browser):
    data = pictures.jpeg()
    workers.start(RETRY_PAUSE=0.1)
    witness.order("fail")
    browser.post("/photos/add/", "Dune", image=("dune.jpg", data))
    wait_until(lambda: len(witness.notes("refused")) == 2, "the storage has refused it twice")

    witness.withdraw("fail")
    wait_until_no_upload_is_left()

    assert pictures.stored(Photo.objects.get().image) == data


def cut_other_connections():
    """End the other connections to the database, as its restart does; return how many."""
    others, end = {
        "postgresql": (
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid()",
            "SELECT pg_terminate_backend(%s)",
        ),
        "mysql": (
            "SELECT id FROM information_schema.processlist WHERE db = DATABASE()"
            " AND id <> CONNECTION_ID()",
            "KILL %s",
        ),
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(others)
        found = cursor.fetchall()
        for row in found:
            cursor.execute(end, row)
    return len(found)


@ANY_BROKER
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no server.")
def test_a_worker_that_keeps_its_connection_survives_a_restart_of_the_database(
    workers, monkeypatch, browser
):
    monkeypatch.setenv("TEST_DB_REUSE_MAX", "1000")
    data = [pictures.jpeg(), pictures.jpeg()]
    workers.start(processes=1, RETRY_PAUSE=0.1)
    browser.post("/photos/add/", "Dune", image=("dune.jpg", data[0]))
    wait_until_no_upload_is_left()

    assert cut_other_connections() >= 1
    browser.post("/photos/add/", "Dune", image=("dune.jpg", data[1]))
    wait_until_no_upload_is_left()

    assert [pictures.stored(photo.image) for photo in Photo.objects.order_by("pk")] == data


@ANY_BROKER
def test_a_failed_upload_is_attached_when_an_operator_retries(workers, witness, browser):
    data = pictures.jpeg()
    workers.start(RETRY_PAUSE=0.1, MAX_ATTEMPTS=2)
    witness.order("fail")
    browser.post("/photos/add/", "Dune", image=("dune.jpg", data))
    wait_until(lambda: witness.notes("image_failed"), "image_failed is sent")
    assert "told to fail" in Upload.objects.failed().get().error

    witness.withdraw("fail")
    call_command("async_uploads", "retry", "--all")
    wait_until_no_upload_is_left()

    assert pictures.stored(Photo.objects.get().image) == data


@ANY_BROKER
def test_two_messages_for_one_upload_attach_it_once(workers, witness, browser, settings):
    settings.ASYNC_FORMS = {**settings.ASYNC_FORMS, "RESEND_AFTER": 0.1}
    data = pictures.jpeg()
    workers.start(RESEND_AFTER=0.1)
    witness.order("hold-stored")
    browser.post("/photos/add/", "Dune", image=("dune.jpg", data))
    # Starting an attempt makes the upload due later.
    wait_until(lambda: witness.notes("stored"), "the first process has stored it")
    wait_until(lambda: Upload.objects.due().exists(), "the upload is overdue")
    call_command("async_uploads", "recover")
    wait_until(lambda: len(witness.notes("stored")) == 2, "two processes have stored it")

    witness.withdraw("hold-stored")
    wait_until_no_upload_is_left()

    wait_until(lambda: witness.notes("image_saved"), "image_saved is sent")
    wait_until(lambda: len(stored_files(settings)) == 1, "only the file that was attached stays")
    assert pictures.stored(Photo.objects.get().image) == data
    assert len(witness.notes("image_saved")) == 1
