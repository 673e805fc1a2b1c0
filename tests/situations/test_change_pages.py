"""The admin's pages compared with a plain admin: the list, saving as new, and deletion."""

import pytest
from django import forms
from django.contrib import admin
from django.urls import path, reverse

from django_async_forms.admin import AsyncImageAdminMixin
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.situations.forms import bytes_of, form_rows, loaded, uploads_for
from tests.situations.models import TwoImages, Validated
from tests.worker import staged_files

plain_site, async_site = admin.AdminSite("plain"), admin.AdminSite("async")


class OwnForm(forms.ModelForm):
    """A form of the project, which changes what is saved."""

    def save(self, commit=True):
        self.instance.title = f"{self.instance.title}!"
        return super().save(commit)


class PlainAdmin(admin.ModelAdmin):
    form = OwnForm
    fields = ["title", "image", "cover"]
    list_display = ["id", "title", "image", "cover"]
    list_editable = ["title", "image", "cover"]
    save_as = True


class AsyncAdmin(AsyncImageAdminMixin, PlainAdmin):
    pass


class PlainValidatedAdmin(admin.ModelAdmin):
    list_display = ["id", "title", "image"]
    list_editable = ["title", "image"]


class AsyncValidatedAdmin(AsyncImageAdminMixin, PlainValidatedAdmin):
    pass


plain_site.register(TwoImages, PlainAdmin)
plain_site.register(Validated, PlainValidatedAdmin)
async_site.register(TwoImages, AsyncAdmin)
async_site.register(Validated, AsyncValidatedAdmin)

urlpatterns = [path("plain/", plain_site.urls), path("async/", async_site.urls)]

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


def address(page, *args, model=TwoImages, site="async"):
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
    return reverse(name, args=args, current_app=site)


@pytest.fixture(params=["plain", "async"])
def post(request, admin_client):
    """Posts to a page of a plain admin and of one with the mixin, and saves the pending images."""

    def post(page, data, *args, model=TwoImages):
        url = address(page, *args, model=model, site=request.param)
        response = admin_client.post(url, {**data, "_save": "Save"})
        assert response.status_code == 302, response.context["errors"]
        save_pending_uploads()

    return post


@pytest.fixture
def two(in_memory):
    return TwoImages.objects.create(title="x", image=in_memory("a.jpg"), cover=in_memory("b.jpg"))


def test_the_change_list_replaces_one_of_two_images(post, two, image):
    cover = bytes_of(two, "cover")

    post("changelist", form_rows({"id": two.pk, "title": "y", "image": image}))

    assert (bytes_of(two), bytes_of(two, "cover")) == (image.data, cover)
    assert loaded(two).title.startswith("y")


def test_the_change_list_clears_an_image(post, two):
    cover = bytes_of(two, "cover")

    post("changelist", form_rows({"id": two.pk, "title": "y", "image-clear": "on"}))

    assert (bytes_of(two), bytes_of(two, "cover")) == (None, cover)


def test_the_change_list_replaces_the_images_of_each_row(post, in_memory):
    images = [pictures.jpeg(), pictures.jpeg()]
    rows = [TwoImages.objects.create(title=str(i)) for i in range(2)]
    # The newest row is the first in the list.
    posted = [
        {"id": row.pk, "title": "y", "image": in_memory(data=data)}
        for row, data in reversed(list(zip(rows, images, strict=True)))
    ]

    post("changelist", form_rows(*posted))

    assert [bytes_of(row) for row in rows] == images


def test_the_change_list_shows_and_saves_a_model_that_validates_itself(post, in_memory, image):
    entry = Validated.objects.create(title="x", image=in_memory())

    row = {"id": entry.pk, "title": "y", "image": image}
    post("changelist", form_rows(row), model=Validated)

    assert (loaded(entry).title, bytes_of(entry)) == ("y", image.data)


def test_saving_as_new_makes_an_instance_with_its_own_image(post, two, image):
    before = bytes_of(two)

    post("change", {"title": "new", "image": image, "_saveasnew": "1"}, two.pk)

    new = TwoImages.objects.exclude(pk=two.pk).get()
    assert bytes_of(new) == image.data
    assert bytes_of(two) == before


def test_deleting_in_the_admin_discards_pending_uploads(admin_client, in_memory, staging):
    files = {"image": in_memory(), "cover": in_memory()}
    admin_client.post(address("add"), {"title": "x", **files})
    two = TwoImages.objects.get()
    assert uploads_for(two).count() == 2

    admin_client.post(address("delete", two.pk), {"post": "yes"})

    assert not TwoImages.objects.exists()
    assert not Upload.objects.exists()


def test_the_delete_action_discards_pending_uploads(admin_client, in_memory):
    for title in "ab":
        admin_client.post(address("add"), {"title": title, "image": in_memory()})
    assert Upload.objects.count() == 2

    selected = [str(two.pk) for two in TwoImages.objects.all()]
    data = {"action": "delete_selected", "_selected_action": selected, "post": "yes"}
    admin_client.post(address("changelist"), data)

    assert not TwoImages.objects.exists()
    assert not Upload.objects.exists()
    assert not staged_files()
