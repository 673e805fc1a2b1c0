"""Attempts that reach one of Celery's time limits."""

import pytest
from django import forms
from django.utils import timezone

from django_async_forms.celery_delivery import CeleryDelivery
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.tasks import recover_uploads
from tests import pictures
from tests.project.models import Photo
from tests.worker import wait_until, wait_until_no_upload_is_left

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "other"]),
    pytest.mark.parametrize(
        ("broker_name", "staging"), [("filesystem", "database")], indirect=True, ids=["worker"]
    ),
]


@pytest.fixture
def hold(witness, monkeypatch, in_memory):
    """Post an image whose storing does not end, with a time limit for its task."""

    def post(data, **limit):
        def publish(delivery, upload):
            arguments = [str(upload.pk), upload.using]
            delivery.app.send_task("django_async_forms.save_image", arguments, **limit)

        with monkeypatch.context() as patched:
            patched.setattr(CeleryDelivery, "publish", publish)
            witness.order("hold")
            form_class = forms.modelform_factory(
                Photo, AsyncImageModelForm, fields=["title", "image"]
            )
            return form_class({"title": "Dune"}, {"image": in_memory(data=data)}).save()

    return post


def test_an_attempt_fails_at_the_soft_limit_and_is_retried_after_a_pause(worker, witness, hold):
    data = pictures.jpeg()
    photo = hold(data, soft_time_limit=1)
    upload = Upload.objects.get()
    wait_until(lambda: f"{upload.pk}: attempt 1 failed" in worker.text(), "the attempt is ended")
    assert "SoftTimeLimitExceeded" in Upload.objects.pending().get().error

    witness.withdraw("hold")
    wait_until_no_upload_is_left()

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data


def test_recovery_sends_an_upload_again_whose_process_is_killed_at_the_hard_limit(
    worker, witness, hold
):
    data = pictures.jpeg()
    photo = hold(data, time_limit=1)
    before = worker.text().count("Hard time limit")
    wait_until(lambda: worker.text().count("Hard time limit") > before, "the process is killed")
    witness.withdraw("hold")
    assert Upload.objects.pending().get().attempts == 1

    Upload.objects.update(due_at=timezone.now())
    recover_uploads()
    wait_until_no_upload_is_left()

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data
