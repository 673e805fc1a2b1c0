"""Scripts, GraphQL and async views, as their how-to page writes them."""

import json
import sys
from types import ModuleType

import pytest
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django.test import AsyncRequestFactory
from django.urls import path

from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.compatibility import libraries
from tests.pages import block
from tests.recipes.models import Photo

PAGE = "docs/howto/anywhere.rst"

pytestmark = pytest.mark.django_db


def test_a_command_imports_photos_whose_images_a_worker_saves(tmp_path):
    (tmp_path / "photos.csv").write_text("title,file\nDune,dune.jpg\nReef,reef.jpg\n")
    for name in ("dune.jpg", "reef.jpg"):
        (tmp_path / name).write_bytes(pictures.jpeg())

    call_command(block(PAGE, "class Command").execute().Command(), tmp_path)

    assert sorted(Upload.objects.values_list("name", flat=True)) == ["dune.jpg", "reef.jpg"]
    save_pending_uploads()
    assert Photo.objects.get(title="Dune").image.name == "photos/dune.jpg"


def test_a_mutation_of_graphql_stages_its_image(client, settings, in_memory, monkeypatch):
    libraries.need("strawberry-graphql")
    # The library looks up the module of a mutation.
    monkeypatch.setitem(sys.modules, "tests.recipes.page", ModuleType("tests.recipes.page"))
    import strawberry
    from strawberry.django.views import GraphQLView

    @strawberry.type
    class Query:
        name: str = "photos"

    schema = strawberry.Schema(Query, block(PAGE, "strawberry.mutation").execute().Mutation)
    view = GraphQLView.as_view(schema=schema, multipart_uploads_enabled=True)
    settings.ROOT_URLCONF = (path("graphql/", view),)
    query = 'mutation ($image: Upload!) { addPhoto(title: "Dune", image: $image) }'

    answer = client.post(
        "/graphql/",
        {
            "operations": json.dumps({"query": query, "variables": {"image": None}}),
            "map": json.dumps({"0": ["variables.image"]}),
            "0": in_memory(),
        },
    )

    photo = Photo.objects.get()
    assert answer.json() == {"data": {"addPhoto": str(photo.pk)}}
    assert Upload.objects.get().object_pk == str(photo.pk)


# Async views


@pytest.fixture
def views(monkeypatch):
    """The views of the page, and the form that they import."""
    module = ModuleType("photos.forms")
    module.PhotoForm = (
        block("docs/howto/forms.rst", "import AsyncImageFormMixin").execute().PhotoForm
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return block(PAGE, "async def").execute()


@pytest.fixture
def post(in_memory):
    """Posts a form with an image to an async view."""

    def post(view, *arguments):
        data = {"title": "Dune", "image": in_memory()}
        return async_to_sync(view)(AsyncRequestFactory().post("/", data), *arguments)

    return post


def test_an_async_view_creates_a_photo_in_a_block(views, post):
    assert post(views.import_photo).status_code == 202

    assert Upload.objects.get().object_pk == str(Photo.objects.get().pk)


def test_an_async_view_replaces_an_image(views, post):
    photo = Photo.objects.create(title="Dune")

    assert post(views.replace_photo, photo.pk).status_code == 202

    assert Upload.objects.get().object_pk == str(photo.pk)


def test_an_async_view_saves_a_form_in_a_thread(views, post):
    assert post(views.add_photo).status_code == 302

    assert Upload.objects.get().object_pk == str(Photo.objects.get().pk)
