"""Async views, as their how-to page writes them."""

import json
import sys
from types import ModuleType

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.middleware import SessionMiddleware
from django.test import AsyncRequestFactory

from django_async_forms.draft_sender import SESSION_KEY
from django_async_forms.models import Upload
from tests.compatibility import libraries
from tests.pages import block
from tests.recipes.models import Photo

PAGE = "docs/howto/async.rst"

pytestmark = pytest.mark.django_db


@pytest.fixture
def imported(monkeypatch):
    """Makes a name of one page's block importable from a module of the project."""

    def make(module_name, name, *of_page):
        module = ModuleType(module_name)
        setattr(module, name, getattr(block(*of_page).execute(), name))
        monkeypatch.setitem(sys.modules, module_name, module)

    return make


@pytest.fixture
def views(imported):
    """The views of the page, and the form that they import."""
    imported("photos.forms", "PhotoForm", "docs/howto/forms.rst", "import AsyncImageFormMixin")
    return block(PAGE, "PhotoForm").execute()


@pytest.fixture
def post(in_memory, client):
    """Posts a form with an image to an async view."""

    def post(view, *arguments, **data):
        data = {"title": "Dune", "image": in_memory(), **data}
        request = AsyncRequestFactory().post("/", data)
        request.session, request.user = client.session, AnonymousUser()
        return async_to_sync(view)(request, *arguments)

    return post


def test_an_async_view_saves_a_form(views, post):
    assert post(views.add_photo).status_code == 302

    assert Upload.objects.get().object_pk == str(Photo.objects.get().pk)


def test_an_async_view_shows_a_form_with_an_error_again(views, post, settings, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "photo_form.html").write_text("{{ form }}")
    [engine] = settings.TEMPLATES
    settings.TEMPLATES = [{**engine, "DIRS": [tmp_path]}]

    page = post(views.add_photo, title="").content.decode()

    # The image is kept as a draft.
    assert "This field is required." in page
    assert "dune.jpg" in page


def test_an_async_view_replaces_an_image(views, post):
    photo = Photo.objects.create(title="Dune")

    assert post(views.replace_photo, photo.pk).status_code == 202

    assert Upload.objects.get().object_pk == str(photo.pk)


def test_an_async_view_creates_a_photo_in_a_block(views, post):
    assert post(views.import_photo).status_code == 202

    assert Upload.objects.get().object_pk == str(Photo.objects.get().pk)


def in_middleware(view):
    """Run a view behind the middleware of sessions and users, which read the database lazily."""
    return SessionMiddleware(AuthenticationMiddleware(view))


@pytest.fixture
def visitor(client):
    """A visitor who has sent drafts, so that the session has to be read."""
    session = client.session
    session[SESSION_KEY] = "a secret"
    session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    return client


@pytest.mark.parametrize("name", ["add_photo", "import_photo"])
def test_an_async_view_shows_the_pending_image_to_its_sender(views, visitor, in_memory, name):
    request = AsyncRequestFactory().post("/", {"title": "Dune", "image": in_memory()})
    request.COOKIES = {key: morsel.value for key, morsel in visitor.cookies.items()}

    answer = async_to_sync(in_middleware(getattr(views, name)))(request)

    assert answer.status_code in (202, 302)
    assert Upload.objects.get().sender


@pytest.fixture
def api(imported):
    """The view of the page with a serializer."""
    libraries.need("djangorestframework")
    page = "docs/howto/rest_framework.rst"
    imported("photos.serializers", "PhotoSerializer", page, "AsyncImageSerializerMixin")
    return block(PAGE, "PhotoSerializer").execute()


def test_an_async_view_saves_a_serializer(api, post):
    assert post(api.add_photo).status_code == 202

    assert Upload.objects.get().object_pk == str(Photo.objects.get().pk)


def test_an_async_view_answers_with_the_errors_of_a_serializer(api, post):
    answer = post(api.add_photo, title="")

    assert answer.status_code == 400
    assert json.loads(answer.content).keys() == {"title"}
