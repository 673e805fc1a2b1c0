"""
django-storages: images of one name become as many objects, on a local server for S3.

The storage asks the server for a free name, and then puts the object. The server overwrites.
"""

import pytest

from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.both import async_form
from tests.threads import work_in_threads
from tests.worker import wait_until, work_on

from . import libraries

libraries.need("django-storages", "moto")


from .models.s3 import LoopbackStorage, Remote  # noqa: E402

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def posted(bucket, in_memory):
    """Posts images with one name; returns their bytes and uploads, in order."""

    def post(count):
        data = [pictures.jpeg(16, 12) for _ in range(count)]
        for one in data:
            files = {"image": in_memory("image.jpg", one)}
            async_form(Remote, {"title": "Dune"}, files).save()
        return data, list(Upload.objects.order_by("created_at"))

    return post


def stored():
    return [pictures.stored(remote.image) for remote in Remote.objects.order_by("pk")]


def test_a_worker_that_looks_while_another_puts_finds_another_name(posted, monkeypatch):
    data, (first, second, third) = posted(3)
    others = [second, third]
    put = LoopbackStorage._save

    def put_later(self, name, content):
        if others:  # The name is free, and another worker looks for a name now.
            work_on(others.pop(0))
        return put(self, name, content)

    monkeypatch.setattr(LoopbackStorage, "_save", put_later)
    work_on(first)

    assert stored() == data
    assert len({remote.image.name for remote in Remote.objects.all()}) == 3


def test_simultaneous_workers_put_as_many_objects(posted):
    data, uploads = posted(6)
    work_in_threads(work_on, uploads)
    wait_until(lambda: save_pending_uploads() == 0, "what was in the way of another is attached")

    assert stored() == data
    assert len({remote.image.name for remote in Remote.objects.all()}) == 6


def test_an_object_that_another_row_has_stays_when_an_attempt_ends(posted, settings, monkeypatch):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
    data, (first, second) = posted(2)
    work_on(first)
    put = LoopbackStorage._save

    def put_and_fail(self, name, content):
        put(self, name, content)
        raise OSError("the answer was lost")

    monkeypatch.setattr(LoopbackStorage, "_save", put_and_fail)
    work_on(second)

    assert Upload.objects.failed().exists()
    assert pictures.stored(Remote.objects.earliest("pk").image) == data[0]


def test_an_object_that_a_superseded_attempt_has_put_is_removed(
    posted, bucket, in_memory, monkeypatch
):
    _, (first,) = posted(1)
    put = LoopbackStorage._save
    newer = [in_memory("newer.jpg")]

    def put_and_be_superseded(self, name, content):
        name = put(self, name, content)
        if newer:
            remote = Remote.objects.get()
            async_form(Remote, {"title": "Dune"}, {"image": newer.pop()}, remote).save()
        return name

    monkeypatch.setattr(LoopbackStorage, "_save", put_and_be_superseded)
    work_on(first)
    save_pending_uploads()

    assert Remote.objects.get().image.name == "remote/newer.jpg"
    assert [item.key for item in bucket.objects.all()] == ["remote/newer.jpg"]
