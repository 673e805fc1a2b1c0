"""docs/howto/photologue.rst: photos in Photologue's admin, with Photologue itself."""

import io

import pytest
from django.contrib.sites.models import Site
from django.urls import reverse
from photologue.models import Photo, PhotoEffect, PhotoSize, PhotoSizeCache
from PIL import Image

from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.applications.conftest import with_worker
from tests.worker import staged_files, wait_until, wait_until_no_upload_is_left

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def site(db):
    """The current site, which the clean-up after a test that commits removes."""
    return Site.objects.get_or_create(pk=1, defaults={"domain": "testserver"})[0]


@pytest.fixture(autouse=True)
def small(db):
    """The only size that Photologue makes when it saves a photo."""
    PhotoSize.objects.all().delete()
    size = PhotoSize.objects.create(name="small", width=20, pre_cache=True)
    PhotoSizeCache().reset()
    return size


@pytest.fixture
def save_photo(admin_client, site):
    """Posts the admin's page of a photo."""

    def save(photo=None, file=None, title="New", **more):
        url = reverse("admin:photologue_photo_add")
        if photo is not None:
            url = reverse("admin:photologue_photo_change", args=[photo.pk])
        data = {"title": title, "slug": "new", "crop_from": "center", "is_public": "on"}
        data |= {"date_added_0": "2026-11-26", "date_added_1": "12:00", "sites": [site.pk], **more}
        return admin_client.post(url, {**data, **({"image": file} if file else {})})

    return save


@pytest.fixture
def photo(in_memory, site):
    photo = Photo(title="Old", slug="old", image=in_memory("old.jpg", pictures.jpeg(64, 48)))
    photo.save()
    photo.sites.add(site)
    return photo


@pytest.fixture
def photos(files):
    """Returns the names of the stored photos, and of those that Photologue has made of them."""
    return lambda: {name for name in files() if name.endswith(".jpg")}


OLD = {"photologue/photos/old.jpg", "photologue/photos/cache/old_small.jpg"}
NEW = {"photologue/photos/new.jpg", "photologue/photos/cache/new_small.jpg"}


def test_a_new_photo_is_saved_in_the_request(save_photo, jpeg, photos):
    response = save_photo(file=jpeg())

    assert response.status_code == 302
    assert Photo.objects.get().image.name == "photologue/photos/new.jpg"
    assert photos() == NEW
    assert not Upload.objects.exists()


def test_a_worker_replaces_a_photo_and_its_sizes(photo, save_photo, jpeg, photos):
    data = pictures.jpeg(80, 40)

    response = save_photo(photo, jpeg(data=data))

    assert response.status_code == 302
    assert photos() == OLD
    assert Photo.objects.get().title == "New"

    assert save_pending_uploads() == 1

    photo = Photo.objects.get()
    assert pictures.stored(photo.image) == data
    assert photos() == NEW
    assert photo.get_small_size() == (20, 10)


def test_a_photo_with_the_name_of_the_old_one_replaces_it(photo, save_photo, jpeg, photos):
    data = pictures.jpeg(80, 40)
    save_photo(photo, jpeg("old.jpg", data))

    save_pending_uploads()

    photo = Photo.objects.get()
    assert pictures.stored(photo.image) == data
    assert photos() == OLD


def test_a_size_that_is_asked_for_meanwhile_shows_the_old_photo(photo, save_photo, jpeg):
    PhotoSize.objects.create(name="large", width=40)
    PhotoSizeCache().reset()
    save_photo(photo, jpeg())
    assert Photo.objects.get().get_large_size() == (40, 30)

    save_pending_uploads()

    assert Photo.objects.get().get_large_size() == (40, 20)


def test_the_date_in_the_new_photo_is_read(photo, save_photo, jpeg):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2020:05:17 10:00:00"
    file = io.BytesIO()
    Image.new("RGB", (80, 40)).save(file, "JPEG", exif=exif)
    save_photo(photo, jpeg(data=file.getvalue()))

    save_pending_uploads()

    assert Photo.objects.get().date_taken.year == 2020


def test_an_effect_that_is_chosen_with_a_new_photo_is_applied(photo, save_photo, jpeg, photos):
    effect = PhotoEffect.objects.create(name="Grey", color=0)
    save_photo(photo, jpeg(), effect=effect.pk)

    save_pending_uploads()

    photo = Photo.objects.get()
    with photo.image.storage.open(photo.get_small_filename()) as file, Image.open(file) as image:
        red, green, blue = image.convert("RGB").getpixel((5, 5))
    assert max(red, green, blue) - min(red, green, blue) < 10


@with_worker
@pytest.mark.django_db(transaction=True)
def test_a_real_worker_replaces_a_photo(worker, photo, save_photo, jpeg, photos):
    save_photo(photo, jpeg())

    wait_until_no_upload_is_left()

    wait_until(lambda: photos() == NEW, "the worker has replaced the photo")


def test_a_photo_that_could_not_be_saved_is_retried(photo, save_photo, jpeg, photos, fail):
    save_photo(photo, jpeg())
    fail()
    assert Upload.objects.get().state == Upload.State.FAILED
    assert Photo.objects.get().image.name == photo.image.name

    Upload.objects.update(state=Upload.State.PENDING)
    save_pending_uploads()

    assert photos() == NEW


def test_deleting_a_photo_discards_its_pending_image(photo, save_photo, jpeg, photos):
    save_photo(photo, jpeg())

    Photo.objects.get().delete()

    assert not Upload.objects.exists()
    assert not staged_files()
    assert photos() == set()


@pytest.mark.parametrize("name", ["admin:photologue_photo_changelist", "photologue:photo-list"])
def test_pages_show_the_old_photo_meanwhile(name, photo, save_photo, jpeg, admin_client):
    save_photo(photo, jpeg())

    html = admin_client.get(reverse(name)).content.decode()

    assert "New" in html


def test_the_page_of_the_photo_says_that_its_image_is_being_saved(
    photo, save_photo, jpeg, admin_client
):
    save_photo(photo, jpeg())

    page = admin_client.get(reverse("admin:photologue_photo_change", args=[photo.pk]))

    assert 'data-state="pending"' in page.content.decode()
