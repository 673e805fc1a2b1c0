"""When a message leaves, and who waits for the broker."""

import pytest
from django.forms import modelform_factory

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from tests.project.models import Photo
from tests.worker import sending_to

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("asking_anew")]

PhotoForm = modelform_factory(Photo, AsyncImageModelForm, fields=["title", "image"])


def save(uploaded):
    form = PhotoForm({"title": "Dune"}, {"image": uploaded})
    assert form.is_valid(), form.errors
    return form.save()


@pytest.fixture
def eager():
    with sending_to("memory://", task_always_eager=True, task_eager_propagates=True):
        yield


def test_an_eager_task_without_a_request_has_run_when_save_returns(eager, in_memory):
    photo = save(in_memory())

    photo.refresh_from_db()
    assert photo.image


def test_an_eager_task_that_fails_is_logged_and_stops_no_other(
    eager, in_memory, monkeypatch, caplog, settings
):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 2}
    with monkeypatch.context() as patched:

        def fail(*args, **kwargs):
            raise OSError("No room")

        patched.setattr(Photo._meta.get_field("image").storage, "save", fail)
        save(in_memory())
    upload = Upload.objects.get()

    photo = save(in_memory())

    photo.refresh_from_db()
    assert photo.image
    assert f"Upload {upload.pk}: the eager task failed." in caplog.text
