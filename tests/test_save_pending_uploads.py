"""``save_pending_uploads()`` lets users test their code in a ``TestCase`` without a broker."""

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import FileSystemStorage
from django.core.management import call_command
from django.test import TestCase
from django.urls import reverse

from django_async_forms.conf import conf
from django_async_forms.models import Upload
from django_async_forms.signals import image_failed, image_saved
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from tests import pictures
from tests.project.models import Elsewhere, Photo
from tests.worker import give_up, staged_files

pytestmark = pytest.mark.django_db


class Refusing(FileSystemStorage):
    """A final storage that refuses files with "bad" in their names."""

    def _save(self, name, content):
        if "bad" in name:
            raise SuspiciousFileOperation(f"{name} is refused.")
        return super()._save(name, content)


@pytest.fixture
def refusing(use_final_storage):
    use_final_storage(Refusing)


class AsUsersWriteIt(TestCase):
    def test_a_posted_image_is_attached_after_the_call(self):
        data = pictures.jpeg()
        image = pictures.as_file(data)
        image.name = "dune.jpg"
        self.client.post(reverse("photo-add"), {"title": "Dune", "image": image})
        self.assertFalse(Photo.objects.get().image)

        self.assertEqual(save_pending_uploads(), 1)

        self.assertEqual(pictures.stored(Photo.objects.get().image), data)


def test_all_pending_uploads_are_saved_and_counted(in_memory, on_disk, staging):
    photos = [Photo.objects.create(title=title) for title in ("Dune", "Reef", "Peak")]
    expected = {}
    for photo, make in zip(photos, (in_memory, on_disk, in_memory), strict=True):
        expected[photo.pk] = pictures.jpeg()
        save_image(make(data=expected[photo.pk]), photo)

    assert save_pending_uploads() == 3

    assert {photo.pk: pictures.stored(photo.image) for photo in Photo.objects.all()} == expected
    assert not Upload.objects.exists()


def test_a_call_without_pending_uploads_saves_nothing(photo, in_memory):
    assert save_pending_uploads() == 0
    save_image(in_memory(), photo)

    assert save_pending_uploads() == 1
    assert save_pending_uploads() == 0


def test_no_bytes_stay_staged_after_the_call(photo, in_memory, staging):
    save_image(in_memory(), photo)
    assert staged_files()

    save_pending_uploads()

    assert staged_files() == []


def test_receivers_of_image_saved_have_run_after_the_call(connect, photo, in_memory):
    seen = []

    def look(instance, field_name, **kwargs):
        seen.append((instance.title, field_name))

    connect(image_saved, look, Photo)
    save_image(in_memory(), photo)
    save_pending_uploads()

    assert seen == [("Dune", "image")]


@pytest.mark.django_db(databases=["default", "other"])
def test_only_the_images_of_the_given_database_are_saved(photo, in_memory, staging):
    data = pictures.jpeg()
    elsewhere = Elsewhere.objects.create(title="Moon")
    save_image(in_memory(), photo)
    save_image(in_memory(data=data), elsewhere)

    assert save_pending_uploads(using="other") == 1

    elsewhere.refresh_from_db()
    assert pictures.stored(elsewhere.image) == data
    assert Upload.objects.using("default").pending().count() == 1


def test_an_error_that_stops_an_image_fails_the_users_test(photo, in_memory, refusing):
    save_image(in_memory("bad.jpg"), photo)

    with pytest.raises(SuspiciousFileOperation, match="is refused"):
        save_pending_uploads()

    assert Upload.objects.for_instance(photo).pending().exists()


def test_images_that_were_saved_before_an_error_stay_saved(photo, in_memory, refusing):
    worse = Photo.objects.create(title="Worse")
    save_image(in_memory(), photo)
    save_image(in_memory("bad.jpg"), worse)

    with pytest.raises(SuspiciousFileOperation):
        save_pending_uploads()

    photo.refresh_from_db()
    assert photo.image
    assert Upload.objects.get().object_pk == str(worse.pk)


def test_failed_uploads_are_left_to_an_operator(photo, in_memory):
    upload = save_image(in_memory(), photo)
    give_up(upload)

    assert save_pending_uploads() == 0

    assert Upload.objects.failed().get() == upload


def test_uploads_can_be_brought_to_failed(photo, in_memory, connect):
    seen = []
    connect(image_failed, lambda instance, upload, **kwargs: seen.append((instance, upload)))
    upload = save_image(in_memory(), photo)

    assert save_pending_uploads(fail_with=OSError("No space left on device")) == 1

    failed = Upload.objects.failed().get()
    assert failed.error == "OSError: No space left on device"
    assert failed.attempts == conf().MAX_ATTEMPTS
    assert seen == [(photo, upload)]
    photo.refresh_from_db()
    assert not photo.image


@pytest.mark.django_db(databases=["default", "other"])
def test_an_upload_that_was_brought_to_failed_can_be_retried(photo, in_memory):
    save_image(in_memory(), photo)
    save_pending_uploads(fail_with=OSError("No space left on device"))

    call_command("async_uploads", "retry", "--all")

    assert save_pending_uploads() == 1
    photo.refresh_from_db()
    assert photo.image


@pytest.mark.django_db(databases=["default", "other"])
def test_only_uploads_of_the_given_database_are_brought_to_failed(photo, in_memory):
    save_image(in_memory(), photo)

    assert save_pending_uploads("other", fail_with=OSError()) == 0

    assert Upload.objects.pending().count() == 1


@pytest.mark.django_db(transaction=True)
def test_pending_uploads_are_saved_in_a_transaction_test_case(in_memory, staging):
    data = pictures.jpeg()
    photo = Photo.objects.create(title="Dune")
    save_image(in_memory(data=data), photo)

    assert save_pending_uploads() == 1

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data
