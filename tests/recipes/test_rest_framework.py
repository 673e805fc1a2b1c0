"""Django REST framework, as its how-to page writes it, and a client that is made of curl."""

import os
import shutil
import subprocess
from dataclasses import replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_async_forms.models import Draft, Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.compatibility import libraries
from tests.pages import block
from tests.recipes.models import Photo
from tests.worker import wait_until, work_on

libraries.need("djangorestframework")

from rest_framework.pagination import PageNumberPagination  # noqa: E402
from rest_framework.test import APIClient, APIRequestFactory  # noqa: E402

PAGE = "docs/howto/rest_framework.rst"

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(settings):
    """The API of the page. The tests' photo has another label than the page's."""
    grant = block(PAGE, "make_grant")
    grant = replace(grant, code=grant.code.replace("photos.photo", "recipes.photo")).execute()
    urls = block(PAGE, "AsyncImageSerializerMixin").execute().urlpatterns
    settings.ROOT_URLCONF = (*grant.urlpatterns, *urls)
    return APIClient()


def test_a_new_photo_is_accepted_and_its_image_is_pending(api, in_memory):
    answer = api.post("/api/photos/", {"title": "Dune", "image": in_memory()})

    assert answer.status_code == 202
    assert answer.data["state"]["state"] == "pending"
    save_pending_uploads()
    assert api.get("/api/photos/").data[0]["state"]["state"] == "saved"


def test_the_answer_has_the_keys_that_the_page_shows(api, in_memory):
    shown = eval(block(PAGE, '"state": {').code, {"null": None})

    answer = api.post("/api/photos/", {"title": "Dune", "image": in_memory()}).json()

    assert answer.keys() == shown.keys()
    assert answer["state"].keys() == shown["state"].keys()


def test_a_page_of_a_list_asks_twice_for_the_uploads(api, save_form):
    class Pages(PageNumberPagination):
        page_size = 10

    views = block(PAGE, "AsyncImageSerializerMixin").execute().PhotoViewSet
    view = views.as_view({"get": "list"}, pagination_class=Pages)
    for _ in range(3):
        save_form(Photo, title="Dune")

    with CaptureQueriesContext(connection) as captured:
        answer = view(APIRequestFactory().get("/")).data

    assert [photo["state"]["state"] for photo in answer["results"]] == ["pending"] * 3
    # The count, the photos and their uploads. Photos that are not pending are read once more.
    assert len(captured) == 3


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="needs curl and jq")
def test_curl_sends_an_image_and_then_a_form_and_waits(api, live_server, queue, tmp_path):
    data = pictures.jpeg(640, 480)
    (tmp_path / "dune.jpg").write_bytes(data)
    script = block(PAGE, "curl").code.replace("https://photos.example.com", live_server.url)

    with subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        # No proxy of the machine's is between them.
        env={**os.environ, "NO_PROXY": "*"},
        stdout=subprocess.PIPE,
        text=True,
    ) as curl:
        upload = wait_until(
            lambda: curl.poll() is not None or Upload.objects.first(), "curl has posted the form"
        )
        assert isinstance(upload, Upload), curl.returncode
        assert not Draft.objects.exists()
        work_on(upload)
        printed, _ = curl.communicate(timeout=60)

    photo = Photo.objects.get(title="Dune")
    assert curl.returncode == 0
    assert pictures.stored(photo.image) == data
    assert printed == f"{photo.image.url}\n"
