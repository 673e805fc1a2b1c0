"""django-extra-views: a view with a form and inline formsets, each with images."""

import pytest
from django.forms import ModelForm
from django.urls import path

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.views import AsyncImageViewMixin
from tests import pictures
from tests.project.models import Album, Page

from . import libraries

libraries.need("django-extra-views")

from extra_views import (  # noqa: E402
    CreateWithInlinesView,
    InlineFormSetFactory,
    ModelFormSetView,
    UpdateWithInlinesView,
)

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class Pages(InlineFormSetFactory):
    model = Page
    form_class = AsyncImageModelForm
    fields = ["image", "caption"]
    factory_kwargs = {"extra": 2}


class PlainPages(Pages):
    form_class = ModelForm


class AlbumCreateView(AsyncImageViewMixin, CreateWithInlinesView):
    inlines = [Pages]


class AlbumUpdateView(AsyncImageViewMixin, UpdateWithInlinesView):
    inlines = [Pages]


class AlbumsView(ModelFormSetView):
    form_class = AsyncImageModelForm
    template_name = "none.html"


ALBUM = {"model": Album, "fields": ["name", "cover"], "success_url": "/done/"}

urlpatterns = [
    path("async/", AlbumCreateView.as_view(**ALBUM)),
    path("async/<int:pk>/", AlbumUpdateView.as_view(**ALBUM)),
    path("plain/", CreateWithInlinesView.as_view(**ALBUM, inlines=[PlainPages])),
    path("albums/", AlbumsView.as_view(**ALBUM)),
]


def picture(name, seed=None):
    file = pictures.as_file(pictures.jpeg(seed=seed))
    file.name = name
    return file


def management(prefix, total, initial=0):
    return {f"{prefix}-TOTAL_FORMS": total, f"{prefix}-INITIAL_FORMS": initial}


def post(client, page, data):
    response = client.post(page, data)
    assert response.status_code == 302, response.content.decode()


def test_an_album_and_its_pages_are_stored_as_for_plain_forms(alike, client):
    def case(way):
        data = {
            "name": "Dune",
            "cover": picture("cover.jpg", 0),
            **management("pages", 2),
            "pages-0-image": picture("first.jpg", 1),
            "pages-1-image": picture("second.jpg", 2),
            "pages-1-caption": "Second",
        }
        post(client, f"/{way.name}/", data)
        way.work()

    assert alike(case, Page, Album).uploads == 3


def test_pages_are_changed_added_and_removed(client, in_memory):
    album = Album.objects.create(name="Dune")
    kept, removed = (
        Page.objects.create(album=album, image=in_memory(name)) for name in ("a.jpg", "b.jpg")
    )
    data = {
        "name": "Dune",
        **management("pages", 3, 2),
        "pages-0-id": kept.pk,
        "pages-0-image": picture("new.jpg"),
        "pages-1-id": removed.pk,
        "pages-1-DELETE": "on",
        "pages-2-image": picture("added.jpg"),
    }

    post(client, f"/async/{album.pk}/", data)
    assert Upload.objects.count() == 2
    save_pending_uploads()

    names = list(album.pages.order_by("pk").values_list("image", flat=True))
    assert names == ["pages/new.jpg", "pages/added.jpg"]


def test_a_formset_view_stages_each_image(client):
    data = {
        **management("form", 2),
        "form-0-name": "Dune",
        "form-0-cover": picture("dune.jpg"),
        "form-1-name": "Moon",
        "form-1-cover": picture("moon.jpg"),
    }

    post(client, "/albums/", data)
    save_pending_uploads()

    covers = dict(Album.objects.values_list("name", "cover"))
    assert covers == {"Dune": "albums/dune.jpg", "Moon": "albums/moon.jpg"}
