"""Old and new versions of the site and its workers run side by side, and no image is lost."""

import pytest
from celery import current_app
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
def sent_as(monkeypatch):
    """Make this process send the messages of another version."""

    def send_as(message):
        def publish(delivery, upload):
            delivery.app.set_current()
            message(upload)

        monkeypatch.setattr(CeleryDelivery, "publish", publish)
        return monkeypatch.undo

    return send_as


def post(data, in_memory):
    form_class = forms.modelform_factory(Photo, AsyncImageModelForm, fields=["title", "image"])
    return form_class({"title": "Dune"}, {"image": in_memory(data=data)}).save()


def with_one_argument_more(upload):
    arguments = [str(upload.pk), upload.using]
    current_app.send_task("django_async_forms.save_image", arguments, {"width": 640})


def for_a_task_of_another_name(upload):
    current_app.send_task("django_async_forms.save_image_and_width", [str(upload.pk), 640])


@pytest.mark.parametrize(
    ("message", "complaint"),
    [(with_one_argument_more, "TypeError"), (for_a_task_of_another_name, "unregistered task")],
    ids=["argument", "name"],
)
def test_a_message_that_a_worker_does_not_understand_costs_no_attempt_and_is_recovered(
    worker, sent_as, in_memory, message, complaint
):
    data = pictures.jpeg()
    before = worker.text().count(complaint)
    end = sent_as(message)
    photo = post(data, in_memory)
    wait_until(lambda: worker.text().count(complaint) > before, "the worker complains")
    end()
    assert Upload.objects.pending().get().attempts == 0

    Upload.objects.update(due_at=timezone.now())
    recover_uploads()
    wait_until_no_upload_is_left()

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data


@pytest.mark.parametrize(
    "newer",
    [
        {"model": "project.newer"},
        {"field_name": "newer"},
        {"file": {"class": "NewerUploadedFile", "name": "dune.jpg", "size": 1}},
    ],
    ids=["model", "field", "class"],
)
def test_an_upload_that_a_worker_does_not_know_waits_for_one_that_does(
    worker, sent_as, in_memory, newer
):
    data = pictures.jpeg()
    end = sent_as(lambda upload: None)
    photo = post(data, in_memory)
    end()
    upload = Upload.objects.get()
    ours = {name: getattr(upload, name) for name in newer}
    Upload.objects.update(**newer)

    CeleryDelivery().publish(upload)
    wait_until(lambda: f"{upload.pk}: attempt 1 failed" in worker.text(), "an attempt fails")
    assert "newer" in Upload.objects.pending().get().error.lower()
    Upload.objects.update(**ours)
    wait_until_no_upload_is_left()

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data


@pytest.mark.parametrize("named", [True, False], ids=["by name", "in order"])
def test_the_arguments_of_this_version_are_understood_however_they_are_sent(
    worker, sent_as, in_memory, named
):
    """The arguments that all later versions understand."""

    def message(upload):
        arguments = {"upload_id": str(upload.pk), "using": upload.using}
        if named:
            current_app.send_task("django_async_forms.save_image", kwargs=arguments)
        else:
            current_app.send_task("django_async_forms.save_image", list(arguments.values()))

    data = pictures.jpeg()
    sent_as(message)
    photo = post(data, in_memory)
    wait_until_no_upload_is_left()

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data
