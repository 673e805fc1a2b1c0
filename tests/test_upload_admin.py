"""The outbox in the admin: looking at uploads, retrying them, giving them up."""

import re

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from django_async_forms.models import StoredChunk, Upload
from django_async_forms.tasks import save_image_task
from django_async_forms.uploads import save_image
from tests import pictures
from tests.project.models import Document, Photo

pytestmark = pytest.mark.django_db

LIST = reverse("admin:django_async_forms_upload_changelist")
HTML = "<img src=x onerror=alert(1)>.jpg"


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def broker_name():
    """The broker whose messages a test can look at without a server: a folder."""
    return "filesystem"


@pytest.fixture(autouse=True)
def queue(broker):
    """A folder with what this process sends, which no worker takes away."""
    return broker.folder


@pytest.fixture
def photo():
    return Photo.objects.create(title="Dune")


@pytest.fixture
def pending(photo, in_memory):
    return save_image(in_memory(), photo)


@pytest.fixture
def failed(in_memory):
    document = Document.objects.create(title="Deed")
    upload = save_image(in_memory("deed.jpg"), document)
    Upload.objects.filter(pk=upload.pk).update(
        state=Upload.State.FAILED, attempts=12, error="OSError: no room"
    )
    return upload


def page_of(upload, name="change"):
    return reverse(f"admin:django_async_forms_upload_{name}", args=[upload.pk])


def do(client, action, *uploads, **more):
    """Choose an action for some rows of the list, as an operator does."""
    return client.post(
        LIST,
        {"action": action, "_selected_action": [str(upload.pk) for upload in uploads], **more},
        follow=True,
    )


def test_the_list_shows_what_is_pending_and_what_has_failed(admin_client, pending, failed):
    page = admin_client.get(LIST).content.decode()

    for text in (str(pending.pk), "project.photo", "dune.jpg", "pending"):
        assert text in page
    for text in (str(failed.pk), "project.document", "deed.jpg", "failed", "OSError: no room"):
        assert text in page


def test_the_list_can_be_narrowed_to_what_has_failed(admin_client, pending, failed):
    page = admin_client.get(LIST, {"state__exact": "failed"}).content.decode()

    assert str(failed.pk) in page
    assert str(pending.pk) not in page


def test_the_list_can_be_narrowed_to_a_model(admin_client, pending, failed):
    page = admin_client.get(LIST, {"model": "project.photo"}).content.decode()

    assert str(pending.pk) in page
    assert str(failed.pk) not in page


def test_an_instances_uploads_are_found_by_its_key(admin_client, pending, in_memory):
    other = save_image(in_memory(), Photo.objects.create(title="Reef"))

    page = admin_client.get(LIST, {"q": pending.object_pk}).content.decode()

    assert str(pending.pk) in page
    assert str(other.pk) not in page


def test_the_list_asks_as_many_questions_for_many_rows_as_for_one(
    admin_client, pending, in_memory, django_assert_num_queries
):
    with CaptureQueriesContext(connection) as for_one:
        admin_client.get(LIST)
    for title in ("Reef", "Peak", "Lake"):
        save_image(in_memory(), Photo.objects.create(title=title))

    with django_assert_num_queries(len(for_one)):
        admin_client.get(LIST)


def test_a_failed_upload_can_be_retried(admin_client, failed, queue):
    page = do(admin_client, "retry_uploads", failed).content.decode()

    assert "1 upload will be retried." in page
    upload = Upload.objects.pending().get()
    assert upload.attempts == 0
    save_image_task.apply(args=[str(upload.pk), "default"])
    assert Document.objects.get().scan


@pytest.mark.django_db(transaction=True)
def test_a_retried_upload_is_sent_on_commit(admin_client, failed, queue):
    # A message that comes before, under ATOMIC_REQUESTS, finds a failed upload: nothing to do.
    for message in queue.glob("*.msg"):
        message.unlink()

    with transaction.atomic():
        do(admin_client, "retry_uploads", failed)
        assert list(queue.glob("*.msg")) == []

    assert len(list(queue.glob("*.msg"))) == 1


def test_retrying_what_is_pending_changes_nothing(admin_client, pending):
    page = do(admin_client, "retry_uploads", pending).content.decode()

    assert "0 uploads will be retried." in page
    assert Upload.objects.pending().get() == pending


def test_deleting_an_upload_removes_its_staged_bytes(
    admin_client, pending, staging, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        admin_client.post(page_of(pending, "delete"), {"post": "yes"})

    assert not Upload.objects.exists()
    with pytest.raises(FileNotFoundError):
        pending.open_staged()


def test_deleting_the_selected_uploads_removes_their_staged_bytes(
    admin_client, pending, failed, staging, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        do(admin_client, "delete_selected", pending, failed, post="yes")

    assert not Upload.objects.exists()
    for upload in (pending, failed):
        with pytest.raises(FileNotFoundError):
            upload.open_staged()


def test_deleting_an_upload_leaves_the_image_that_the_instance_has(
    admin_client, photo, in_memory, settings
):
    photo.image.save("old.jpg", pictures.as_file(pictures.jpeg()))
    upload = save_image(in_memory(), photo)

    admin_client.post(page_of(upload, "delete"), {"post": "yes"})

    photo.refresh_from_db()
    assert photo.image.storage.exists(photo.image.name)
    assert not StoredChunk.objects.exists()


def test_an_upload_cannot_be_added(admin_client):
    assert admin_client.get(reverse("admin:django_async_forms_upload_add")).status_code == 403


def test_an_upload_can_be_looked_at_and_not_changed(admin_client, failed):
    response = admin_client.get(page_of(failed))

    page = response.content.decode()
    assert "OSError: no room" in page
    assert "deed.jpg" in page
    assert not re.search(r"<(input|textarea|select)\b[^>]*name=\"(error|state|object_pk)\"", page)
    response = admin_client.post(page_of(failed), {"state": "pending"})
    assert response.status_code == 403
    assert Upload.objects.failed().get() == failed


def test_file_names_and_errors_are_shown_as_text(admin_client, photo, in_memory):
    upload = save_image(in_memory(HTML), photo)
    Upload.objects.update(error=f"OSError: {HTML}")

    for address in (LIST, page_of(upload), page_of(upload, "delete")):
        page = admin_client.get(address).content.decode()
        assert HTML not in page
        assert "&lt;img src=x" in page


def test_who_may_only_look_may_not_retry(client, failed):
    looker = User.objects.create_user("looker", password="looker", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_upload"))
    client.force_login(looker)
    assert str(failed.pk) in client.get(LIST).content.decode()

    do(client, "retry_uploads", failed)

    assert Upload.objects.failed().get() == failed


def test_who_may_change_uploads_may_retry(client, failed):
    operator = User.objects.create_user("operator", password="operator", is_staff=True)
    operator.user_permissions.add(
        *Permission.objects.filter(codename__in=["view_upload", "change_upload"])
    )
    client.force_login(operator)

    do(client, "retry_uploads", failed)

    assert Upload.objects.pending().get() == failed
