"""The admin with Unfold, django-import-export and django-parler: a worker saves the images."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests.applications.packages.photos.models import Photo, TranslatedPhoto

pytestmark = pytest.mark.django_db


@pytest.fixture
def save(admin_client, jpeg):
    """Posts the admin's page of an instance, with a new image."""

    def post(model, instance=None, page="", **data):
        name = f"admin:photos_{model._meta.model_name}"
        url = reverse(f"{name}_change", args=[instance.pk]) if instance else reverse(f"{name}_add")
        response = admin_client.post(url + page, {"title": "New", "image": jpeg(), **data})
        assert response.status_code == 302, response.context["adminform"].form.errors
        return model.objects.get()

    return post


@pytest.mark.parametrize("model", [Photo, TranslatedPhoto])
def test_a_worker_saves_the_image_of_a_new_instance(model, save):
    instance = save(model)
    assert (instance.title, instance.image.name) == ("New", "")

    assert save_pending_uploads() == 1

    assert model.objects.get().image.name.endswith("/new.jpg")


@pytest.mark.parametrize("model", [Photo, TranslatedPhoto])
def test_the_old_image_stays_until_a_worker_has_replaced_it(model, save, jpeg):
    instance = save(model)
    save_pending_uploads()

    save(model, instance, title="Newer", image=jpeg("newer.jpg"))

    assert model.objects.get().image.name.endswith("/new.jpg")
    save_pending_uploads()
    instance = model.objects.get()
    assert (instance.title, instance.image.name.endswith("/newer.jpg")) == ("Newer", True)


@pytest.mark.parametrize("model", [Photo, TranslatedPhoto])
def test_the_pages_of_the_admin_show_that_the_image_is_pending(model, save, admin_client):
    instance = save(model)
    name = f"admin:photos_{model._meta.model_name}"

    page = admin_client.get(reverse(f"{name}_change", args=[instance.pk])).content.decode()

    assert 'data-state="pending"' in page
    assert admin_client.get(reverse(f"{name}_changelist")).status_code == 200


def test_a_page_that_comes_back_with_an_error_keeps_its_image(admin_client, jpeg):
    page = admin_client.post(reverse("admin:photos_photo_add"), {"title": "", "image": jpeg()})

    assert "This field is required." in page.content.decode()
    assert 'data-state="kept"' in page.content.decode()


# django-parler


def test_another_language_of_an_instance_keeps_its_pending_image(save, admin_client):
    photo = save(TranslatedPhoto)
    url = reverse("admin:photos_translatedphoto_change", args=[photo.pk])

    response = admin_client.post(f"{url}?language=de", {"title": "Neu"})

    assert response.status_code == 302, response.context["adminform"].form.errors
    save_pending_uploads()
    photo = TranslatedPhoto.objects.get()
    assert photo.image.name == "translated/new.jpg"
    assert [t.title for t in photo.translations.order_by("language_code")] == ["Neu", "New"]


# django-import-export


def test_an_import_leaves_a_pending_image_pending(save, admin_client):
    photo = save(Photo)
    url = reverse("admin:photos_photo_import")
    file = SimpleUploadedFile("photos.csv", f"id,title,image\n{photo.pk},Imported,\n".encode())

    page = admin_client.post(url, {"import_file": file, "format": "0", "resource": "0"})
    confirmed = page.context["confirm_form"].initial
    admin_client.post(reverse("admin:photos_photo_process_import"), confirmed)

    assert Photo.objects.get().title == "Imported"
    assert Upload.objects.count() == 1
    save_pending_uploads()
    assert Photo.objects.get().image.name == "photos/new.jpg"
