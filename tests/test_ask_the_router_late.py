"""
A router that looks at an instance is asked when the form has filled it in.

Plain Django asks it when the form validates the instance, and when the instance is saved.
"""

import re

import pytest
from django import forms
from django.core.files.uploadedfile import SimpleUploadedFile
from django.forms import modelform_factory
from django.urls import include, path

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.test import save_pending_uploads
from django_async_forms.views import AsyncImageCreateView
from tests import pictures
from tests.both import form_for
from tests.project.models import Keyed, Measured

pytestmark = [
    pytest.mark.django_db(databases=["default", "other"]),
    pytest.mark.urls("tests.test_ask_the_router_late"),
]


class ByTitle:
    """Keeps an instance in the database for its title. There is none for an empty title."""

    def db_for_write(self, model, instance=None, **hints):
        if isinstance(instance, (Keyed, Measured)):
            return {"Dune": "default", "Arrakis": "other"}[instance.title]
        return None


@pytest.fixture(autouse=True)
def by_title(settings):
    settings.DATABASE_ROUTERS = [ByTitle()]


class ConfirmedForm(AsyncImageModelForm):
    """Comes back with an error until it is confirmed."""

    confirmed = forms.BooleanField(required=False)

    class Meta:
        model = Keyed
        fields = ["title", "image"]

    def clean(self):
        if not self.cleaned_data["confirmed"]:
            raise forms.ValidationError("Please confirm.")


class Create(AsyncImageCreateView):
    fields = ["title", "image"]
    success_url = "/done/"


pages = [
    path("keyed/", Create.as_view(model=Keyed)),
    path("measured/", Create.as_view(model=Measured)),
    path("confirmed/", Create.as_view(form_class=ConfirmedForm, fields=None)),
]


class WithDrafts:
    urlpatterns = [*pages, path("images/", include("django_async_forms.urls"))]


urlpatterns = pages


@pytest.mark.parametrize("urls", [WithDrafts, __name__], ids=["with drafts", "without"])
@pytest.mark.parametrize("page", ["/keyed/", "/measured/"])
def test_a_page_is_shown_and_saved(page, urls, client, settings, in_memory):
    settings.ROOT_URLCONF = urls
    assert b'type="file"' in client.get(page).content

    answer = client.post(page, {"title": "Arrakis", "image": in_memory()})

    assert answer.status_code == 302
    assert save_pending_uploads("other") == 1


@pytest.mark.parametrize("model", [Keyed, Measured])
def test_a_form_is_shown_and_saved(base, model, in_memory):
    form_class = modelform_factory(model, base, fields=["title", "image"])
    assert 'type="file"' in str(form_class())
    form_class({"title": "Arrakis"}, {"image": in_memory()}).save()
    save_pending_uploads("other")

    assert model.objects.using("other").get().image


def test_a_limit_of_the_backlog_does_not_need_the_title(base, in_memory, settings):
    settings.ASYNC_FORMS = {"MAX_BACKLOG": 1}

    assert form_for(base, Keyed, {"title": "Arrakis"}, {"image": in_memory()}).is_valid()


def test_an_image_is_kept_in_the_database_for_the_title(client):
    data = pictures.jpeg()
    image = SimpleUploadedFile("dune.jpg", data, "image/jpeg")
    answer = client.post("/confirmed/", {"title": "Arrakis", "image": image})
    token = re.search(r'name="image-draft" value="([^"]+)"', answer.content.decode())[1]

    sent = {"title": "Arrakis", "confirmed": "on", "image-draft": token}
    assert client.post("/confirmed/", sent).status_code == 302
    save_pending_uploads("other")

    assert pictures.stored(Keyed.objects.using("other").get().image) == data
