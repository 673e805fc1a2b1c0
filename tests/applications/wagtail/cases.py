"""docs/howto/wagtail.rst: images and documents in Wagtail's admin, with Wagtail itself."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import TestCase
from django.urls import reverse
from wagtail.documents import get_document_model
from wagtail.images import get_image_model
from wagtail.models import Collection

from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.applications.conftest import with_worker
from tests.worker import staged_files, wait_until, wait_until_no_upload_is_left

pytestmark = pytest.mark.django_db

Image, Document = get_image_model(), get_document_model()


@pytest.fixture(autouse=True)
def root(db):
    """The root collection, which the clean-up after a test that commits removes."""
    if not Collection.objects.exists():
        Collection.add_root(name="Root")
    return Collection.objects.get()


@pytest.fixture
def image(in_memory):
    return Image.objects.create(title="Old", file=in_memory("old.jpg", pictures.jpeg(64, 48)))


@pytest.fixture
def document(in_memory):
    return Document.objects.create(title="Old", file=in_memory("old.txt", b"old"))


@pytest.fixture
def page(admin_client):
    """Posts the page that changes an image or a document, with a new file."""

    def post(instance, name="new.jpg", data=None, **more):
        file = SimpleUploadedFile(name, data or pictures.jpeg(80, 40), "image/jpeg")
        form = {"title": "New", "collection": instance.collection_id, "tags": "", "file": file}
        response = admin_client.post(edit_url(instance), {**form, **more})
        instance.refresh_from_db()
        return response

    return post


def edit_url(instance):
    kind = "images" if isinstance(instance, Image) else "docs"
    return reverse(f"wagtail{kind}:edit", args=[instance.pk])


def read(file):
    with file.storage.open(file.name) as content:
        return content.read()


# Adding


@pytest.mark.parametrize("kind", ["images", "docs"])
def test_a_new_file_is_saved_in_the_request(kind, admin_client, root):
    file = SimpleUploadedFile("new.jpg", pictures.jpeg(), "image/jpeg")
    url = reverse(f"wagtail{kind}:add_multiple")

    response = admin_client.post(
        url, {"files[]": file, "title": "New", "collection": root.pk}, HTTP_X_REQUESTED_WITH="X"
    )

    assert json.loads(response.content)["success"], response.content
    model = Image if kind == "images" else Document
    assert model.objects.get().file.name.endswith("/new.jpg")
    assert not Upload.objects.exists()


def test_the_page_for_one_new_image_saves_it_in_the_request(admin_client, root):
    file = SimpleUploadedFile("new.jpg", pictures.jpeg(80, 40), "image/jpeg")

    admin_client.post(
        reverse("wagtailimages:add"), {"title": "New", "collection": root.pk, "file": file}
    )

    image = Image.objects.get()
    assert (image.width, image.height) == (80, 40)
    assert image.get_rendition("width-20").file.name
    assert not Upload.objects.exists()


# Replacing


def test_the_old_image_stays_until_a_worker_has_saved_the_new_one(image, page, files):
    old = image.file.name

    response = page(image)

    assert response.status_code == 302
    assert (image.title, image.file.name, image.width) == ("New", old, 64)
    assert files() == {old}

    save_pending_uploads()

    image.refresh_from_db()
    assert image.file.name == "original_images/new.jpg"
    assert (image.width, image.height) == (80, 40)
    assert files() == {image.file.name}


def test_an_image_with_the_name_of_the_old_one_replaces_it(image, page, files):
    data = pictures.jpeg(80, 40)
    page(image, name="old.jpg", data=data)

    save_pending_uploads()

    image.refresh_from_db()
    assert read(image.file) == data
    assert files() == {image.file.name}


def test_size_and_hash_are_those_of_the_new_image(image, page):
    data = pictures.jpeg(80, 40)
    page(image, data=data)
    save_pending_uploads()
    image.refresh_from_db()
    stored = image.file_size, image.file_hash

    image._set_image_file_metadata()

    assert stored == (image.file_size, image.file_hash)
    assert image.file_size == len(data)


def test_renditions_show_the_old_image_until_the_new_one_is_there(image, page, files):
    old = image.get_rendition("width-20")
    page(image)

    assert image.get_rendition("width-20").file.name == old.file.name
    assert image.get_rendition("width-10").height == 7  # Of 64 by 48.

    save_pending_uploads()

    image = Image.objects.get()
    assert (image.get_rendition("width-20").height, image.get_rendition("width-10").height) == (
        10,
        5,
    )
    assert old.file.name not in files()


def test_no_rendition_of_the_old_image_is_left_in_the_cache(image, page, settings):
    image.get_rendition("width-20")
    page(image)
    assert Image.objects.get().get_rendition("width-20").height == 15
    save_pending_uploads()

    assert Image.objects.get().get_rendition("width-20").height == 10


@with_worker
@pytest.mark.django_db(transaction=True)
def test_a_real_worker_replaces_an_image(worker, image, page, files):
    data = pictures.jpeg(80, 40)
    page(image, data=data)

    wait_until_no_upload_is_left()

    image.refresh_from_db()
    assert read(image.file) == data
    wait_until(lambda: files() == {image.file.name}, "the receiver has deleted the old image")


def test_a_second_replacement_supersedes_the_first(image, page, files):
    data = pictures.jpeg()
    page(image, name="first.jpg")
    page(image, name="second.jpg", data=data)

    save_pending_uploads()

    image.refresh_from_db()
    assert read(image.file) == data
    assert files() == {image.file.name}


def test_what_an_editor_changes_meanwhile_stays(image, page, admin_client):
    page(image)
    form = {"title": "Newer", "collection": image.collection_id, "tags": "lake", "focal_point_x": 3}
    admin_client.post(edit_url(image), {**form, "focal_point_y": 4})

    save_pending_uploads()

    image.refresh_from_db()
    assert (image.title, image.focal_point_x, image.width) == ("Newer", 3, 80)
    assert [str(tag) for tag in image.tags.all()] == ["lake"]


def test_the_old_document_stays_until_a_worker_has_saved_the_new_one(document, page, files):
    old = document.file.name

    page(document, name="new.txt", data=b"new")

    assert (document.title, document.file.name) == ("New", old)
    assert read(document.file) == b"old"

    save_pending_uploads()

    document.refresh_from_db()
    assert (read(document.file), document.file_size) == (b"new", 3)
    assert files() == {document.file.name}


def test_the_old_document_is_served_meanwhile(document, page, client):
    page(document, name="new.txt", data=b"new")
    assert b"".join(client.get(document.url).streaming_content) == b"old"

    save_pending_uploads()

    document.refresh_from_db()
    assert b"".join(client.get(document.url).streaming_content) == b"new"


# What fails


def test_a_file_that_is_not_an_image_is_refused_as_always(image, page, files):
    old = image.file.name

    response = page(image, data=b"not an image")

    assert "could not be saved due to errors" in response.content.decode()
    assert not Upload.objects.exists()
    assert {name for name in files() if name.startswith("original_images")} == {old}


def test_an_image_that_a_worker_cannot_save_leaves_the_old_one(image, page, files, fail):
    rendition = image.get_rendition("width-20")
    page(image)
    before = files()

    fail()

    image = Image.objects.get()
    assert Upload.objects.get().state == Upload.State.FAILED
    assert files() == before
    assert image.get_rendition("width-20").file.name == rendition.file.name


# Deleting


@pytest.mark.parametrize("kind", ["image", "document"])
def test_deleting_discards_the_pending_file(kind, request, page, admin_client, files):
    instance = request.getfixturevalue(kind)
    page(instance, name="new.txt" if kind == "document" else "new.jpg")
    url = reverse(f"wagtail{'images' if kind == 'image' else 'docs'}:delete", args=[instance.pk])

    with TestCase.captureOnCommitCallbacks(execute=True):
        assert admin_client.post(url).status_code == 302

    assert not Upload.objects.exists()
    assert not staged_files()
    assert files() == set()


# Pages


@pytest.mark.parametrize("kind", ["image", "document"])
def test_the_page_says_that_a_file_is_being_saved(kind, request, page, admin_client):
    instance = request.getfixturevalue(kind)
    page(instance, name="new.txt" if kind == "document" else "new.jpg")

    html = admin_client.get(edit_url(instance)).content.decode()

    assert f"The {'image' if kind == 'image' else 'file'} is being saved." in html


def test_the_page_says_that_an_image_could_not_be_saved(image, page, admin_client):
    page(image)
    Upload.objects.update(state="failed")

    html = admin_client.get(edit_url(image)).content.decode()

    assert "The image could not be saved." in html


@pytest.mark.parametrize(
    "name", ["wagtailimages:index", "wagtailimages_chooser:choose", "wagtailadmin_home"]
)
def test_pages_that_list_images_show_the_old_one_meanwhile(name, image, page, admin_client):
    page(image)

    html = admin_client.get(reverse(name)).content.decode()

    assert ("/media/images/old" in html) == (name != "wagtailadmin_home")


def test_a_search_finds_an_image_at_once_and_afterwards(image, page):
    page(image)
    assert list(Image.objects.search("New")) == [image]

    save_pending_uploads()

    assert list(Image.objects.search("New")) == [Image.objects.get()]
    assert not Image.objects.search("Old")
