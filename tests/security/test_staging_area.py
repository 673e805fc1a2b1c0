"""Staged files are private, cannot be reached from outside, and are complete on a full disk."""

import errno
import os
import stat
from pathlib import Path

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.forms import modelform_factory

from django_async_forms import recovery
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import StoredChunk, Upload
from django_async_forms.storage import StagingFileSystemStorage, staging_storage
from django_async_forms.tasks import save_image_task
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from tests import pictures
from tests.project.models import OnlyImages, Photo

pytestmark = [
    pytest.mark.django_db(databases=["default", "other"]),
    pytest.mark.urls("tests.security.pages"),
]


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def files_below(folder):
    return [path for path in Path(folder).rglob("*") if path.is_file()]


def assert_private(location):
    """Check that no other user can read or find anything in a folder."""
    assert files_below(location)
    for path in [location, *location.rglob("*")]:
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path


@pytest.fixture(params=["in_memory", "on_disk"])
def any_image(request):
    """An uploaded image of each kind that Django makes."""
    return request.getfixturevalue(request.param)()


@pytest.fixture(autouse=True)
def open_to_all(settings):
    """A project and a process that make their files readable for all users."""
    settings.FILE_UPLOAD_PERMISSIONS = 0o666
    settings.FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o777
    before = os.umask(0)
    yield
    os.umask(before)


# Modes and place


def test_the_projects_permissions_do_not_apply_to_staged_files(location, photo, any_image):
    save_image(any_image, photo)

    assert_private(location)


seen = []


class Looking(FileSystemStorage):
    """A final storage that looks at the staged files while it stores."""

    def _save(self, name, content):
        staging = staging_storage("default")
        if isinstance(staging, StagingFileSystemStorage):
            below = Path(staging.location).rglob("*")
            seen.extend((path.is_dir(), mode(path)) for path in below)
        else:
            seen.append((False, mode(content.temporary_file_path())))
        return super()._save(name, content)


@pytest.fixture
def looked():
    seen.clear()
    return seen


def test_the_file_that_a_worker_reads_is_private(
    location, photo, use_final_storage, looked, any_image
):
    use_final_storage(Looking)
    save_image(any_image, photo)

    save_pending_uploads()

    assert set(looked) == {(True, 0o700), (False, 0o600)}


def test_the_workers_copy_of_a_file_in_the_database_is_private(
    photo, use_final_storage, looked, on_disk
):
    use_final_storage(Looking)
    save_image(on_disk(), photo)

    save_pending_uploads()

    assert looked == [(False, 0o600)]


class Failing(FileSystemStorage):
    """A final storage that stores the file and then fails, as if its response got lost."""

    def _save(self, name, content):
        super()._save(name, content)
        raise OSError("no answer")


def test_a_staged_file_is_private_again_after_a_failure(
    location, photo, use_final_storage, any_image
):
    use_final_storage(Failing)
    save_image(any_image, photo)

    with pytest.raises(OSError, match="no answer"):
        save_pending_uploads()

    assert_private(location)


def test_an_image_is_in_no_public_folder_before_a_worker_has_saved_it(
    client, settings, tmp_path, location, picture
):
    settings.STATIC_ROOT = tmp_path / "static"

    client.post("/async/photo/add/", {"title": "Dune", "image": ContentFile(picture, "a.jpg")})

    assert Upload.objects.exists()
    assert files_below(settings.MEDIA_ROOT) == files_below(settings.STATIC_ROOT) == []
    assert [path.read_bytes() for path in files_below(location)] == [picture]


def test_staging_does_not_write_through_a_symbolic_link(location, tmp_path):
    victim = tmp_path / "victim"
    (location / "default").mkdir(parents=True)
    (location / "default/link").symlink_to(victim)

    staged = staging_storage("default").save("default/link", ContentFile(b"evil"))

    assert not victim.exists()
    assert (location / staged).read_bytes() == b"evil"


@pytest.fixture
def outside(location, tmp_path):
    """A file next to the staging folder, which the package must not touch."""
    path = tmp_path / "secret.jpg"
    path.write_bytes(pictures.jpeg())
    return path


@pytest.fixture(params=["../secret.jpg", "{}", "default/../../secret.jpg"])
def upload(request, outside, photo, in_memory):
    """An upload whose row names that file."""
    upload = save_image(in_memory(), photo)
    Upload.objects.update(staged=request.param.format(outside))
    return upload


def test_a_row_that_points_outside_gives_no_access_to_read_there(upload, media):
    save_image_task.apply(args=[str(upload.pk), "default"])

    failed = Upload.objects.failed().get()
    assert failed.attempts == 1
    assert failed.error.startswith("SuspiciousFileOperation")
    assert files_below(media) == []


def test_a_row_that_points_outside_gives_no_access_to_delete_there(
    upload, outside, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks() as callbacks:
        assert Upload.objects.all().discard() == 1

    for callback in callbacks:
        with pytest.raises(SuspiciousFileOperation):
            callback()
    assert outside.exists()


# A full disk. In an open transaction, an image that cannot be staged causes a rollback.

on_a_full_disk = pytest.mark.django_db(transaction=True, databases=["default", "other"])


class Small(StagingFileSystemStorage):
    """A folder on a disk that holds a few small images."""

    capacity = 20_000

    def _save(self, name, content):
        taken = sum(path.stat().st_size for path in files_below(self.location))
        if taken + content.size > self.capacity:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
        return super()._save(name, content)


@pytest.fixture
def small(use_staging_storage, location):
    use_staging_storage(Small, location=location)
    return location


@pytest.fixture
def client(client):
    """A client that gets a response to a request that fails, as a browser does."""
    client.raise_request_exception = False
    return client


def post(client, title="Dune", data=None, page="/async/photo/add/"):
    image = SimpleUploadedFile("dune.jpg", data or pictures.jpeg(), "image/jpeg")
    return client.post(page, {"title": title, "image": image}).status_code


@pytest.fixture
def filled(client, small):
    """A staging folder that one client has filled; returns the number of images in it."""
    count = 0
    while post(client, f"Greedy {count}") == 302:
        count += 1
    return count


@on_a_full_disk
def test_one_image_too_many_is_an_error_and_nothing_of_it_is_saved(client, filled, small):
    assert filled > 0
    staged = files_below(small)

    assert post(client, "One more") == 500

    assert Photo.objects.count() == Upload.objects.count() == filled
    assert files_below(small) == staged


@on_a_full_disk
def test_an_update_on_a_full_disk_changes_nothing(client, filled, old):
    before = pictures.stored(old.image)

    assert post(client, "New", page=f"/async/photo/{old.pk}/") == 500

    old.refresh_from_db()
    assert old.title == "Old"
    assert pictures.stored(old.image) == before
    assert not Upload.objects.for_instance(old).exists()


@on_a_full_disk
def test_a_form_without_an_image_is_saved_on_a_full_disk(client, filled, old):
    response = client.post(f"/async/photo/{old.pk}/", {"title": "New"})

    assert response.status_code == 302
    old.refresh_from_db()
    assert old.title == "New"


@on_a_full_disk
def test_attaching_the_staged_images_frees_the_disk(client, filled, small):
    assert save_pending_uploads() == filled

    assert all(photo.image for photo in Photo.objects.all())
    assert files_below(small) == []
    assert post(client, "One more") == 302


@on_a_full_disk
def test_no_image_is_pending_if_one_of_two_does_not_fit_on_the_disk(small, in_memory):
    form_class = modelform_factory(OnlyImages, AsyncImageModelForm, fields=["front", "back"])
    large = pictures.jpeg(300, 300)
    form = form_class({}, {"front": in_memory(), "back": in_memory(data=large)})

    with pytest.raises(OSError, match="No space left"):
        form.save()

    assert not OnlyImages.objects.exists()
    assert not Upload.objects.exists()
    for path in files_below(small):  # The file is abandoned, so recovery removes it later.
        os.utime(path, (0, 0))
    recovery.recover("default")
    assert files_below(small) == []


@on_a_full_disk
def test_a_full_database_is_an_error_and_nothing_is_half_saved(client):
    if connection.vendor != "sqlite":
        pytest.skip("Only SQLite has a limit that can be set.")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")  # Earlier tests have left free pages in the database file.
        cursor.execute("PRAGMA page_count")
        (pages,) = cursor.fetchone()
        cursor.execute(f"PRAGMA max_page_count = {pages + 20}")
    try:
        assert post(client, data=pictures.jpeg(1000, 1000)) == 500
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA max_page_count = {2**32 - 2}")

    assert not Photo.objects.exists()
    assert not Upload.objects.exists()
    assert not StoredChunk.objects.exists()
    assert post(client, data=pictures.jpeg(1000, 1000)) == 302
