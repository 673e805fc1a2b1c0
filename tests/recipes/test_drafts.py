"""Drafts in views, formsets, wizards and JSON clients, as the how-to page writes them."""

import json
import re
import sys
from types import ModuleType

import pytest
from django import forms
from django.core.files.storage import FileSystemStorage
from django.forms import modelform_factory
from django.http import HttpResponse
from django.urls import path

from django_async_forms.conf import conf
from django_async_forms.forms import AsyncImageFormMixin, AsyncImageModelForm
from django_async_forms.models import Upload
from tests import pictures
from tests.compatibility import libraries
from tests.drafts import Page, token_in
from tests.pages import block
from tests.recipes.models import Photo, Profile

pytestmark = pytest.mark.django_db

DRAFTS = "docs/howto/drafts.rst"
FORM = "{% csrf_token %}{{ form }}"


@pytest.fixture(autouse=True)
def photo_form(monkeypatch):
    """The form that the page imports."""
    form_class = modelform_factory(Photo, AsyncImageModelForm, fields=["title", "image"])
    module = ModuleType("tests.recipes.forms")
    module.PhotoForm = form_class
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return form_class


@pytest.fixture
def serve(settings):
    """Serves some pages, with the URLs of the page and its templates."""

    def serve(*urls):
        included = block(DRAFTS, "django_async_forms.urls").execute().urlpatterns
        settings.ROOT_URLCONF = (*urls, *included)
        templates = {"photos/add.html": FORM, "photos/confirm.html": FORM}
        templates["profiles/avatar.html"] = "{{ grant }}"
        loaders = [
            ("django.template.loaders.locmem.Loader", templates),
            "django.template.loaders.app_directories.Loader",
        ]
        [engine] = settings.TEMPLATES
        options = {**engine["OPTIONS"], "loaders": loaders}
        settings.TEMPLATES = [{**engine, "APP_DIRS": False, "OPTIONS": options}]

    return serve


def kept(answer):
    """Return the tokens of the images that a page keeps, by the name of their input."""
    return dict(re.findall(r'name="([\w-]+-draft)" value="([^"]+)"', answer.content.decode()))


def test_a_view_that_gives_its_form_the_request_keeps_an_image(client, serve, in_memory):
    serve(path("add/", block(DRAFTS, "photos/add.html").execute().add_photo))
    answer = client.post("/add/", {"title": "", "image": in_memory("dune.jpg")})

    answer = client.post("/add/", {"title": "Dune", **kept(answer)})

    assert answer.url == Photo.objects.get().get_absolute_url()
    assert Upload.objects.get().name == "dune.jpg"


def test_a_page_that_asks_for_confirmation_keeps_an_image(client, serve, in_memory):
    names = vars(block(DRAFTS, "photos/add.html").execute())
    serve(path("add/", block(DRAFTS, "photos/confirm.html").execute(**names).add_photo))
    answer = client.post("/add/", {"title": "Dune", "image": in_memory()})
    assert not Photo.objects.exists()

    client.post("/add/", {"title": "Dune", "confirmed": "yes", **kept(answer)})

    assert Upload.objects.count() == 1


def test_a_formset_that_gives_its_forms_the_request_keeps_images(rf, serve, in_memory):
    serve()
    data = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 0, "form-0-image": in_memory()}
    request = rf.post("/", data)
    request.session = {}
    formset_class = block("docs/howto/formsets.rst", "PageFormSet =").execute().PageFormSet

    formset = block(DRAFTS, "PageFormSet(").execute(PageFormSet=formset_class, request=request)

    assert 'name="form-0-image-draft"' in str(formset.formset)


def test_a_step_of_a_wizard_keeps_an_image(client, serve, in_memory, photo_form, tmp_path):
    libraries.need("django-formtools")

    class Wizard(block(DRAFTS, "SessionWizardView").execute().PhotoWizard):
        form_list = [("image", photo_form), ("other", forms.Form)]
        file_storage = FileSystemStorage(tmp_path)

        def render(self, form=None, **kwargs):
            return HttpResponse(form.as_p())

    serve(path("add/", Wizard.as_view()))
    client.get("/add/")

    step = {"wizard-current_step": "image", "image-title": "", "image-image": in_memory()}
    answer = client.post("/add/", step)

    assert list(kept(answer)) == ["image-image-draft"]


@pytest.mark.parametrize("is_hidden", [False, True])
def test_a_form_can_hide_the_image_that_it_keeps(client, serve, in_memory, is_hidden, photo_form):
    page = block(DRAFTS, "photos/add.html").execute()
    if is_hidden:
        names = {"forms": forms, "AsyncImageFormMixin": AsyncImageFormMixin, "Photo": Photo}
        hiding_form = block(DRAFTS, "hide_staged").execute(**names).PhotoForm
        names = {**vars(page), "PhotoForm": hiding_form}
        page = block(DRAFTS, "photos/confirm.html").execute(**names)
    serve(path("add/", page.add_photo))

    answer = client.post("/add/", {"title": "", "image": in_memory()})

    assert kept(answer)
    assert (f"/uploads/drafts/{kept(answer)['image-draft']}/" in answer.text) is not is_hidden


def test_the_documented_limits_of_drafts_are_settings(settings):
    settings.ASYNC_FORMS = block(DRAFTS, "MAX_DRAFT_BYTES").execute().ASYNC_FORMS

    assert conf().MAX_DRAFTS_IN_ALL < conf().MAX_BACKLOG


@pytest.fixture
def profile(owner, client):
    """The profile of a user, who is logged in."""
    client.force_login(owner)
    return Profile.objects.create(user=owner)


@pytest.fixture
def avatar(client, serve, profile):
    """The token of an image that the page of the profile has sent."""
    page = block(DRAFTS, "change_avatar").execute()
    serve(path("<int:pk>/", page.edit_avatar), path("<int:pk>/avatar/", page.change_avatar))
    return token_in(Page(client, f"/{profile.pk}/").send_all(pictures.jpeg()))


def test_a_json_client_claims_an_image_once(client, avatar, profile):
    def claim():
        body = json.dumps({"avatar": avatar})
        return client.post(f"/{profile.pk}/avatar/", body, content_type="application/json")

    assert claim().status_code == 202
    assert claim().status_code == 409
    assert Upload.objects.for_instance(profile, "avatar").count() == 1


def test_a_plain_form_takes_a_draft_as_a_file(rf, client, avatar, owner):
    request = rf.post("/", {"avatar": avatar})
    request.session, request.user = client.session, owner
    names = vars(block(DRAFTS, "change_avatar").execute())
    form_class = block("docs/howto/plain_views.rst", "change_avatar").execute().AvatarForm

    form = block(DRAFTS, "AvatarForm(").execute(
        **names | {"AvatarForm": form_class, "request": request}
    )

    assert form.form.is_valid()
    assert form.form.cleaned_data["avatar"].image.size == (64, 48)
