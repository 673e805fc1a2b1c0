"""django-storages: a worker sends the image to S3 (a local server), and the request does not."""

import os

import pytest
from django.core.management import call_command

from django_async_forms.models import Upload
from django_async_forms.tasks import save_image_task
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.both import async_form
from tests.worker import wait_until_no_upload_is_left

from . import libraries
from .conftest import with_worker

libraries.need("django-storages", "moto")


from .models.s3 import Remote  # noqa: E402

pytestmark = pytest.mark.django_db


def contents(bucket):
    return {item.key: item.get()["Body"].read() for item in bucket.objects.all()}


def test_the_bucket_has_the_objects_of_a_plain_form(bucket, alike):
    found = []

    def case(way):
        remote = way.save(Remote, {"title": "Old"}, {"image": way.upload("old.jpg", seed=1)})
        way.save(Remote, {"title": "New"}, {"image": way.upload("new.jpg", 80, 20, 2)}, remote)
        found.append(contents(bucket))
        bucket.objects.delete()

    ours = alike(case, Remote)

    assert found[0] == found[1]
    assert set(found[1]) == {"remote/old.jpg", "remote/new.jpg"}
    assert ours.uploads == 2


def test_two_images_of_one_name_are_two_objects(bucket, in_memory):
    data = [pictures.jpeg(), pictures.jpeg()]
    for one in data:
        async_form(Remote, {"title": "Dune"}, {"image": in_memory(data=one)}).save()

    save_pending_uploads()

    assert sorted(contents(bucket).values()) == sorted(data)
    assert [pictures.stored(remote.image) for remote in Remote.objects.order_by("pk")] == data


def test_a_form_is_saved_while_the_server_is_away(settings, in_memory):
    (settings.DATA / "s3").write_text("http://127.0.0.1:9")

    remote = async_form(Remote, {"title": "Dune"}, {"image": in_memory()}).save()

    assert Upload.objects.for_instance(remote).count() == 1


@pytest.mark.django_db(databases=["default", "other"])
def test_an_upload_that_the_server_refused_can_be_retried(bucket, settings, in_memory):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
    data = pictures.jpeg()
    remote = async_form(Remote, {"title": "Dune"}, {"image": in_memory(data=data)}).save()
    upload = Upload.objects.get()
    bucket.delete()
    save_image_task.apply(args=[str(upload.pk), "default"])
    assert "NoSuchBucket" in Upload.objects.failed().get().error

    bucket.create()
    call_command("async_uploads", "retry", "--all")
    save_pending_uploads()

    remote.refresh_from_db()
    assert pictures.stored(remote.image) == data


@pytest.mark.django_db(transaction=True)
@with_worker
def test_only_a_worker_puts_the_object(worker, witness, bucket, in_memory):
    data = pictures.jpeg()

    async_form(Remote, {"title": "Dune"}, {"image": in_memory(data=data)}).save()
    wait_until_no_upload_is_left()

    assert contents(bucket) == {"remote/dune.jpg": data}
    [(process, group)] = witness.notes("django-storages")
    assert process != os.getpid()
    assert group == worker.group
