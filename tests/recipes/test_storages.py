"""Final storages and staging storages, as the how-to pages configure and write them."""

import os
import sys
import time
import unittest
from base64 import b64decode
from types import ModuleType

import pytest
from django.apps import apps
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from django_async_forms.models import Upload
from django_async_forms.storage import DatabaseStorage, StagingFileSystemStorage, staging_storage
from django_async_forms.test import save_pending_uploads
from tests import pictures, services
from tests.drafts import Page, draft_at
from tests.pages import block
from tests.project.models import Photo as ProjectPhoto
from tests.recipes.models import Photo
from tests.worker import staged_files

pytestmark = pytest.mark.django_db

STAGING = "docs/howto/staging.rst"
CUSTOM = "docs/howto/custom_staging.rst"
S3 = "docs/howto/s3.rst"


@pytest.mark.parametrize(
    ("containing", "storage_class"),
    [("StagingFileSystemStorage", StagingFileSystemStorage), ("DatabaseStorage", DatabaseStorage)],
)
def test_the_documented_staging_storages_work(containing, storage_class, settings):
    page = block(STAGING, containing).execute(STORAGES={**settings.STORAGES})
    settings.STORAGES = page.STORAGES

    assert isinstance(staging_storage("default"), storage_class)


# A custom staging storage


@pytest.fixture
def redis_staging(settings, monkeypatch):
    """The storage of the page, with the test's own names in Redis; returns its module."""
    services.need_broker("redis")
    page = block(CUSTOM, "RedisStagingStorage(Storage)").execute()
    names = {"RedisStagingStorage": page.RedisStagingStorage}
    for name in ("mysite", "mysite.staging"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    vars(sys.modules["mysite.staging"]).update(names)
    storages = block(CUSTOM, "mysite.staging.").execute(STORAGES={**settings.STORAGES}).STORAGES
    prefix = f"staging_{os.getpid()}_{time.monotonic_ns()}"
    storages["async_forms"]["OPTIONS"] = {"url": services.BROKERS["redis"], "prefix": prefix}
    settings.STORAGES = storages
    yield page
    redis = page.Redis.from_url(services.BROKERS["redis"])
    for key in redis.scan_iter(f"{prefix}:*"):
        redis.delete(key)
    redis.close()
    staging_storage("default")._redis.close()


@pytest.mark.parametrize("pieces", [1, 3])
def test_uploads_wait_in_redis(pieces, redis_staging, on_disk, save_form):
    data = pictures.jpeg(260 * pieces, 1000)
    assert len(data) > redis_staging.PIECE * (pieces - 1)
    photo = save_form(Photo, image=on_disk(data=data), title="Dune")
    assert len(staged_files()) == 1

    save_pending_uploads()

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data
    assert staged_files() == []


@pytest.mark.urls("tests.drafts")
def test_a_draft_arrives_in_redis_in_parts(redis_staging, client):
    data = pictures.jpeg(520, 1000)
    page = Page(client)
    address = page.begin(len(data), data[:1000])
    # Bytes of a part that never committed.
    staging_storage("default").write_at(draft_at(address).staged, 1000, ContentFile(b"x" * 9))

    assert page.send(address, data[1000:], 1000).status_code == 204

    assert page.submit(address).status_code == 302
    save_pending_uploads()
    assert pictures.stored(ProjectPhoto.objects.get().image) == data
    assert staged_files() == []


@pytest.mark.django_db(transaction=True)
def test_an_upload_that_is_superseded_is_removed_from_redis(redis_staging, save_form):
    photo = save_form(Photo, title="Dune")

    save_form(Photo, photo, title="Dune")

    assert staged_files() == [upload.staged for upload in Upload.objects.all()]


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_recovery_removes_the_bytes_that_a_rollback_leaves_in_redis(
    redis_staging, save_form, settings
):
    with transaction.atomic():
        save_form(Photo, title="Dune")
        transaction.set_rollback(True)
    [left] = staged_files()

    call_command("async_uploads", "recover")
    assert staged_files() == [left]

    settings.ASYNC_FORMS = {"KEEP_ABANDONED": 0.001}
    call_command("async_uploads", "recover")
    assert staged_files() == []


def test_half_an_upload_in_redis_is_an_error(redis_staging, save_form):
    save_form(Photo, title="Dune")
    storage = staging_storage("default")
    [name] = staged_files()
    storage._redis.delete(storage._key(name))

    with pytest.raises(FileNotFoundError):
        save_pending_uploads()


def test_the_documented_test_case_passes_for_it(redis_staging, settings, monkeypatch):
    made = []

    def make(url, prefix):
        made.append(
            redis_staging.RedisStagingStorage(**settings.STORAGES["async_forms"]["OPTIONS"])
        )
        return made[-1]

    monkeypatch.setattr(sys.modules["mysite.staging"], "RedisStagingStorage", make)
    page = block(CUSTOM, "StagingStorageTests").execute("mysite")
    result = unittest.TestResult()

    unittest.defaultTestLoader.loadTestsFromTestCase(page.RedisStagingTests).run(result)

    for storage in made:
        storage._redis.close()
    assert result.wasSuccessful(), result.errors + result.failures
    reasons = {reason for _, reason in result.skipped}
    assert reasons == {"This storage has no path(), which is optional."}


# S3


@pytest.fixture
def bucket(server, monkeypatch):
    """Makes a bucket, and points S3 storages to the local server."""
    import boto3

    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    resource = boto3.resource("s3", region_name="eu-west-1")

    def make(name):
        bucket = resource.Bucket(name)
        bucket.create(CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        return bucket

    yield make
    for bucket in resource.buckets.all():
        bucket.objects.delete()
        bucket.delete()
    resource.meta.client.close()


def keys(bucket):
    return sorted(item.key for item in bucket.objects.all())


def test_images_are_stored_on_s3(bucket, settings, save_form, in_memory):
    page = block(S3, '"file_overwrite": False').execute()
    block(S3, "client_config").execute(STORAGES=page.STORAGES)
    settings.STORAGES = page.STORAGES
    photosite = bucket("photosite")
    data = [pictures.jpeg(), pictures.jpeg()]
    for one in data:
        save_form(Photo, image=in_memory("dune.jpg", one), title="Dune")
    assert keys(photosite) == []

    save_pending_uploads()

    photos = Photo.objects.order_by("pk")
    assert [pictures.stored(photo.image) for photo in photos] == data
    assert keys(photosite) == sorted(photo.image.name for photo in photos)
    assert "Expires=" in photos[0].image.url
    assert photosite.Object(photos[0].image.name).get()["CacheControl"] == "private, max-age=3600"


def test_s3_gets_the_checksum_of_an_upload(bucket, settings, save_form, in_memory):
    page = block(S3, '"file_overwrite": False').execute()
    block(S3, "ChecksumAlgorithm").execute(STORAGES=page.STORAGES)
    settings.STORAGES = page.STORAGES
    photosite = bucket("photosite")
    photo = save_form(Photo, image=in_memory(), title="Dune")
    sha256 = Upload.objects.get().sha256

    save_pending_uploads()

    photo.refresh_from_db()
    # The local server keeps the checksum that boto3 has sent, and compares nothing.
    stored = photosite.Object(photo.image.name).get(ChecksumMode="ENABLED")
    assert b64decode(stored["ChecksumSHA256"]).hex() == sha256


def test_each_image_has_its_own_name(save_and_attach, in_memory):
    image = in_memory("Dune at my house.JPG")
    photo = save_and_attach(apps.get_model("unique_name.Photo"), image=image, title="Dune")

    assert len(photo.image.name) == len("photos/") + 32 + len(".jpg")
    assert photo.image.name.endswith(".jpg")
    assert "house" not in photo.image.name


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_uploads_wait_on_s3(bucket, settings, save_form, on_disk):
    page = block(S3, "max_memory_size").execute(STORAGES={**settings.STORAGES})
    settings.STORAGES = page.STORAGES
    staging = bucket("photosite-staging")
    settings.ASYNC_FORMS = {"KEEP_ABANDONED": 0.001}
    with transaction.atomic():
        save_form(Photo, title="Rolled back")
        transaction.set_rollback(True)
    data = pictures.jpeg(1200, 1000)
    photo = save_form(Photo, image=on_disk(data=data), title="Dune")
    assert len(keys(staging)) == 2

    # S3 dates objects in whole seconds.
    Upload.objects.update(due_at=timezone.now())
    call_command("async_uploads", "recover")
    save_pending_uploads()

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data
    assert keys(staging) == []
