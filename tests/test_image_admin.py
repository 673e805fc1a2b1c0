"""A model's admin that has a worker save its images, and tells how far they are."""

import re

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import include, path, reverse

from django_async_forms.admin import AsyncImageAdminMixin
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from tests import pictures
from tests.project.models import Document, OnlyImages, Photo
from tests.worker import give_up

site = admin.AdminSite()


@admin.register(Photo, site=site)
class PhotoAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
    list_display = ["title", "async_uploads"]


@admin.register(OnlyImages, site=site)
class OnlyImagesAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
    list_display = ["id", "async_uploads"]


@admin.register(Document, site=site)
class DocumentAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
    """Has no column that tells."""


urlpatterns = [path("admin/", site.urls), path("uploads/", include("django_async_forms.urls"))]

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture
def photo():
    return Photo.objects.create(title="Dune", image="old.jpg")


def list_page(client, model, **query):
    return client.get(reverse(f"admin:project_{model.__name__.lower()}_changelist"), query)


def column(client, model):
    """Return what the column says of each row."""
    html = list_page(client, model).content.decode()
    return re.findall(r'<td class="field-async_uploads">(.*?)</td>', html)


def change_page(instance):
    return reverse(f"admin:project_{type(instance).__name__.lower()}_change", args=[instance.pk])


# The change list


def test_the_column_of_a_list_shows_pending_and_failed_images(admin_client, photo, in_memory):
    upload = save_image(in_memory(), photo)
    assert column(admin_client, Photo) == ["Image: pending"]

    give_up(upload)
    assert column(admin_client, Photo) == ["Image: failed"]


def test_the_column_of_a_list_is_empty_for_saved_images(admin_client, photo, in_memory):
    save_image(in_memory(), photo)
    save_pending_uploads()

    (text,) = column(admin_client, Photo)
    assert "Image" not in text
    html = list_page(admin_client, Photo).content.decode()
    assert re.search(r"column-async_uploads.*?Uploads", html, re.S)


def test_the_column_names_each_image(admin_client, in_memory):
    both = OnlyImages.objects.create()
    save_image(in_memory(), both, "front")
    give_up(save_image(in_memory(), both, "back"))

    assert column(admin_client, OnlyImages) == ["Front: pending, Back: failed"]


@pytest.mark.parametrize(("model", "fields"), [(Photo, ["image"]), (OnlyImages, ["front", "back"])])
def test_the_column_of_a_list_takes_as_many_queries_for_many_rows_as_for_few(
    admin_client, in_memory, model, fields
):
    def add(count):
        for instance in model.objects.bulk_create(model() for _ in range(count)):
            save_image(in_memory(), instance, fields[0])

    add(1)
    model.objects.create()
    with CaptureQueriesContext(connection) as for_few:
        list_page(admin_client, model)
    add(20)
    model.objects.bulk_create(model() for _ in range(20))
    with CaptureQueriesContext(connection) as for_many:
        assert list_page(admin_client, model).content.count(b": pending") == 21

    assert len(for_many) == len(for_few)
    assert len(uploads_queries(for_many)) == len(fields)


def test_a_list_without_the_column_makes_no_query_for_uploads(admin_client):
    Document.objects.create(title="Deed")

    with CaptureQueriesContext(connection) as queries:
        list_page(admin_client, Document)

    assert uploads_queries(queries) == []


# The change page


def test_the_change_page_shows_a_required_image_and_no_clear_box(admin_client, photo):
    html = admin_client.get(change_page(photo)).content.decode()

    assert '<img src="/media/old.jpg"' in html
    assert "<async-image-input" in html
    for name in ("async-image.js", "async-image-input.js", "async-image.css"):
        assert f"/static/django_async_forms/{name}" in html
    assert 'name="image-clear"' not in html


def test_the_change_page_shows_that_an_image_is_pending(admin_client, photo, in_memory):
    save_image(in_memory(), photo)

    html = admin_client.get(change_page(photo)).content.decode()

    assert "The new image is being saved" in html
    assert "data-token" in html


@pytest.mark.parametrize("page", ["add", "change"])
def test_a_worker_saves_the_image_that_is_posted_to_an_admin_page(admin_client, in_memory, page):
    old = Photo.objects.create(title="Dune", image="old.jpg") if page == "change" else None
    address = change_page(old) if old else reverse("admin:project_photo_add")
    data = pictures.jpeg()
    admin_client.get(address)

    admin_client.post(address, {"title": "Reef", "image": in_memory("new.jpg", data=data)})

    photo = Photo.objects.get()
    assert (photo.title, photo.image.name) == ("Reef", "old.jpg" if old else "")
    save_pending_uploads()
    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data


def test_an_image_that_is_being_saved_can_be_cleared(admin_client, in_memory):
    both = OnlyImages.objects.create()
    save_image(in_memory(), both, "front")
    html = admin_client.get(change_page(both)).content.decode()
    assert 'name="front-clear"' in html
    assert 'name="back-clear"' not in html

    admin_client.post(change_page(both), {"front-clear": "on"})

    assert not Upload.objects.exists()


# The outbox


def uploads_queries(queries):
    return [
        query["sql"]
        for query in queries
        if query["sql"].startswith("SELECT") and Upload._meta.db_table in query["sql"]
    ]


@pytest.mark.urls("tests.project.urls")
@pytest.mark.parametrize("query", [{}, {"model": "project.photo"}, {"state__exact": "pending"}])
def test_the_list_of_uploads_reads_a_bounded_part_of_the_table(
    admin_client, photo, in_memory, query
):
    save_image(in_memory(), photo)

    with CaptureQueriesContext(connection) as queries:
        admin_client.get(reverse("admin:django_async_forms_upload_changelist"), query)

    asked = uploads_queries(queries)
    # The three of the summary, the oldest, that of the pages, and the rows.
    assert ["COUNT(" in sql for sql in asked] == [True, True, True, False, True, False]
    assert all(re.search(r" LIMIT \d+", sql) for sql in asked[:-1])
    assert not any("DISTINCT" in sql for sql in asked)


@pytest.mark.urls("tests.project.urls")
def test_the_list_of_uploads_offers_the_models_with_files(admin_client, photo):
    html = admin_client.get(reverse("admin:django_async_forms_upload_changelist")).content.decode()

    offered = re.findall(r'<a href="\?model=([\w.]+)"', html)
    assert {"project.photo", "project.document", "project.restaurant"} <= set(offered)
    assert not {"project.country", "auth.user", "django_async_forms.upload"} & set(offered)


@pytest.mark.urls("tests.project.urls")
def test_the_list_of_uploads_is_shown_for_a_model_that_does_not_exist(
    admin_client, photo, in_memory
):
    save_image(in_memory(), photo)

    response = admin_client.get(
        reverse("admin:django_async_forms_upload_changelist"),
        {"model": "project.gone"},
        follow=True,
    )

    assert response.status_code == 200
