"""docs/howto/formset.rst: forms of django-formset, which sends their images before them."""

import shutil

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from photos.forms import PhotoForm
from photos.models import Photo

from django_async_forms.models import Draft, Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.applications.conftest import with_worker
from tests.worker import staged_files, wait_until_no_upload_is_left

pytestmark = pytest.mark.django_db


@pytest.fixture
def send(client):
    """Sends an image as the page does when it is chosen; returns what the form then names."""

    def post(data, name="dune.jpg"):
        file = SimpleUploadedFile(name, data, "image/jpeg")
        response = client.post("/add/", {"temp_file": file, "image_height": 100})
        assert response.status_code == 200, response.content
        return [response.json()]

    return post


@pytest.fixture
def submit(client):
    """Submits a form as the page does, in JSON; returns the response."""

    def post(address, **values):
        data = {"formset_data": values}
        return client.post(address, data, content_type="application/json")

    return post


@pytest.fixture
def photo(send, submit):
    """A photo with an image that a worker has saved."""
    assert submit("/add/", title="Old", image=send(pictures.jpeg(seed=1))).status_code == 200
    save_pending_uploads()
    return Photo.objects.get()


def test_a_worker_saves_the_image_of_a_new_instance(send, submit):
    data = pictures.jpeg()

    assert submit("/add/", title="Dune", image=send(data)).status_code == 200
    assert (Photo.objects.get().image.name, Upload.objects.pending().count()) == ("", 1)

    save_pending_uploads()
    assert pictures.stored(Photo.objects.get().image) == data
    assert staged_files() == []


def test_the_old_image_stays_until_a_worker_has_replaced_it(photo, send, submit):
    data = pictures.jpeg(seed=2)

    submit(f"/{photo.pk}/", title="New", image=send(data, "new.jpg"))
    assert Photo.objects.get().image.name == photo.image.name

    save_pending_uploads()
    changed = Photo.objects.get()
    assert (changed.title, pictures.stored(changed.image)) == ("New", data)


def test_a_pending_image_does_not_need_the_file_that_the_page_has_sent(send, submit, settings):
    data = pictures.jpeg()
    submit("/add/", title="Dune", image=send(data))

    shutil.rmtree(settings.MEDIA_ROOT / "upload_temp")
    save_pending_uploads()

    assert pictures.stored(Photo.objects.get().image) == data


def test_an_image_that_stays_makes_no_upload(photo, submit):
    submit(f"/{photo.pk}/", title="New", image=[{"path": photo.image.name}])

    changed = Photo.objects.get()
    assert (changed.title, changed.image.name) == ("New", photo.image.name)
    assert not Upload.objects.exists()


def test_an_image_is_cleared(photo, submit):
    submit(f"/{photo.pk}/", title="New", image=[{}])

    assert Photo.objects.get().image.name == ""


def test_a_form_that_comes_back_keeps_its_image_by_itself(send, submit):
    image = send(pictures.jpeg())

    assert submit("/add/", title="", image=image).status_code == 422
    assert not Draft.objects.exists()
    submit("/add/", title="Dune", image=image)

    assert save_pending_uploads() == 1


def test_a_broken_image_is_refused(send, submit):
    response = submit("/add/", title="Dune", image=send(b"not an image"))

    assert response.status_code == 422
    assert not Photo.objects.exists()


def test_the_limits_of_the_package_hold(send, submit, settings):
    settings.ASYNC_FORMS = {"MAX_BYTES": 100}

    response = submit("/add/", title="Dune", image=send(pictures.jpeg()))

    assert (response.status_code, list(response.json())) == (422, ["image"])


def test_the_form_says_that_its_image_is_pending(send, submit):
    submit("/add/", title="Dune", image=send(pictures.jpeg()))

    assert "The image is being saved." in str(
        PhotoForm(instance=Photo.objects.get())["image"].help_text
    )


@pytest.mark.django_db(transaction=True)
@with_worker
def test_a_real_worker_saves_the_image(workers, staging, send, submit):
    workers.start()
    data = pictures.jpeg()

    submit("/add/", title="Dune", image=send(data))

    wait_until_no_upload_is_left()
    assert pictures.stored(Photo.objects.get().image) == data
