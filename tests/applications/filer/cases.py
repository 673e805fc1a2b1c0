"""docs/howto/filer.rst: images in Filer's admin, with Filer itself."""

from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from filer.models import Image
from photos.admin import AsyncImageForm

from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.applications.conftest import with_worker
from tests.worker import staged_files, wait_until_no_upload_is_left

pytestmark = pytest.mark.django_db


@pytest.fixture
def image(in_memory, admin_user):
    """A public image."""
    return Image.objects.create(
        original_filename="old.jpg",
        owner=admin_user,
        is_public=True,
        file=in_memory("old.jpg", pictures.jpeg(64, 48)),
    )


@pytest.fixture
def private(in_memory, admin_user):
    """A private image, in another storage than public ones."""
    return Image.objects.create(
        original_filename="old.jpg",
        owner=admin_user,
        is_public=False,
        file=in_memory("old.jpg", pictures.jpeg(64, 48)),
    )


@pytest.fixture
def replace(admin_client):
    """Posts the admin's page of an image, with a new file."""

    def post(image, file, **more):
        url = reverse("admin:filer_image_change", args=[image.pk])
        data = {"name": "New", "owner": image.owner_id, "file": file, **more}
        if image.is_public:
            data.setdefault("is_public", "on")
        return admin_client.post(url, data)

    return post


def row(image):
    """Return the columns of an image that follow from its file."""
    image = Image.objects.get(pk=image.pk)
    return image.sha1, image.size, image.width, image.height, image.mime_type


def originals(files):
    return {Path(name).name for name in files() if "thumbnails" not in name}


def test_a_new_image_is_saved_in_the_request(admin_client, jpeg, files):
    response = admin_client.post(reverse("admin:filer-ajax_upload"), {"file": jpeg()})

    assert response.json()["original_image"].endswith("/new.jpg")
    assert originals(files) == {"new.jpg"}
    assert not Upload.objects.exists()


def test_a_worker_replaces_an_image(image, replace, jpeg):
    data = pictures.jpeg(80, 40)

    response = replace(image, jpeg(data=data))

    assert response.status_code == 302
    old = Image.objects.get()
    assert (old.name, old.file.name) == ("New", image.file.name)

    assert save_pending_uploads() == 1

    assert pictures.stored(Image.objects.get().file) == data


def test_the_row_and_the_files_are_those_of_filers_own_form(
    image, in_memory, admin_user, replace, jpeg, files, monkeypatch
):
    data = pictures.jpeg(80, 40)
    replace(image, jpeg(data=data))
    save_pending_uploads()
    ours = row(image), originals(files)
    monkeypatch.setattr(AsyncImageForm, "async_fields", [])
    plain = Image.objects.create(owner=admin_user, file=in_memory("old.jpg"), is_public=True)

    replace(plain, jpeg(data=data))

    assert Image.objects.get(pk=plain.pk).file.name.endswith("/new.jpg")
    assert (row(plain), originals(files)) == ours


def test_a_private_image_is_replaced_in_the_storage_of_private_ones(private, replace, jpeg):
    data = pictures.jpeg(80, 40)
    replace(private, jpeg(data=data))

    save_pending_uploads()

    file = Image.objects.get().file
    assert file.storage is file.storages["private"]
    assert pictures.stored(file) == data


def test_an_image_that_becomes_private_when_it_is_replaced_is_private(image, replace, jpeg):
    data = pictures.jpeg(80, 40)
    replace(image, jpeg(data=data), is_public="")

    save_pending_uploads()

    image = Image.objects.get()
    assert not image.is_public
    assert pictures.stored(image.file) == data


def test_thumbnails_show_the_old_image_until_the_new_one_is_there(image, replace, jpeg):
    replace(image, jpeg())
    thumbnail = Image.objects.get().file.get_thumbnail({"size": (20, 20)})
    assert (thumbnail.width, thumbnail.height) == (20, 15)

    save_pending_uploads()

    thumbnail = Image.objects.get().file.get_thumbnail({"size": (20, 20)})
    assert (thumbnail.width, thumbnail.height) == (20, 10)


def test_a_file_that_is_not_an_image_is_refused_as_by_filer(image, replace, jpeg, monkeypatch):
    response = replace(image, SimpleUploadedFile("new.svg", b"<svg onload='x()'/>"))

    assert response.status_code == 200
    assert not Upload.objects.exists()


@with_worker
@pytest.mark.django_db(transaction=True)
def test_a_real_worker_replaces_an_image(worker, image, replace, jpeg):
    data = pictures.jpeg(80, 40)
    replace(image, jpeg(data=data))

    wait_until_no_upload_is_left()

    assert pictures.stored(Image.objects.get().file) == data


def test_an_image_that_a_worker_cannot_save_leaves_the_old_one(image, replace, jpeg, files, fail):
    replace(image, jpeg())

    fail()

    assert Upload.objects.get().state == Upload.State.FAILED
    assert Image.objects.get().file.name == image.file.name
    assert originals(files) == {"old.jpg"}


def test_deleting_an_image_discards_its_replacement(image, replace, jpeg, admin_client, files):
    replace(image, jpeg())

    admin_client.post(reverse("admin:filer_image_delete", args=[image.pk]), {"post": "yes"})

    assert not Image.objects.exists()
    assert not Upload.objects.exists()
    assert not staged_files()
    assert originals(files) == set()


def test_pages_show_the_old_image_meanwhile(image, replace, jpeg, admin_client):
    replace(image, jpeg())

    folder = admin_client.get(reverse("admin:filer-directory_listing-unfiled_images"))
    page = admin_client.get(reverse("admin:filer_image_change", args=[image.pk]))

    assert "New" in folder.content.decode()
    assert image.file.url in page.content.decode()
    assert "The file is being saved." in page.content.decode()
