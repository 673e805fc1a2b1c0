"""Scripts and GraphQL, as their how-to page writes them."""

import json
import sys
from types import ModuleType

import pytest
from django.core.management import call_command
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
