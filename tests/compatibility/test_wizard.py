"""django-formtools: a wizard keeps images from step to step, and saves the forms at the end."""

import re

import pytest
from django import forms
from django.core.files.storage import FileSystemStorage
from django.http import HttpResponse
from django.urls import path

from django_async_forms.forms import AsyncImageFormMixin
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.project.models import Photo

from . import libraries

libraries.need("django-formtools")

from formtools.wizard.views import SessionWizardView  # noqa: E402

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class ImageForm(AsyncImageFormMixin, forms.ModelForm):
    class Meta:
        model = Photo
        fields = ["image"]


class TitleForm(forms.ModelForm):
    class Meta:
        model = Photo
        fields = ["title"]


class LazyFolder(FileSystemStorage):
    """The storage of images until the last step, in the MEDIA_ROOT of each test."""

    @property
    def base_location(self):
        return f"{super().base_location}-waiting"


class PhotoWizard(SessionWizardView):
    """Two forms on one instance, as the library's documentation shows for model forms."""

    form_list = [ImageForm, TitleForm]
    file_storage = LazyFolder()
    template_name = "none.html"

    def dispatch(self, request, *args, **kwargs):
        self.instance = Photo()
        return super().dispatch(request, *args, **kwargs)

    def get_form_instance(self, step):
        return self.instance

    def render(self, form=None, **kwargs):
        return HttpResponse(form.as_p())

    def done(self, form_list, **kwargs):
        for form in form_list:
            form.save(commit=False)
        self.instance.save()
        return HttpResponse("saved")


urlpatterns = [path("wizard/", PhotoWizard.as_view())]


def step(client, name, data):
    return client.post("/wizard/", {"photo_wizard-current_step": name, **data})


def walk(client, data):
    image = pictures.as_file(data)
    image.name = "dune.jpg"
    client.get("/wizard/")
    step(client, "0", {"0-image": image})
    return step(client, "1", {"1-title": "Dune"})


def test_an_image_of_the_first_step_is_pending_after_the_last(client, media):
    assert walk(client, pictures.jpeg()).content == b"saved"

    assert Photo.objects.get().title == "Dune"
    assert Upload.objects.get().name == "dune.jpg"
    assert not media.exists()


def test_the_image_is_attached_after_the_wizard_has_removed_its_own_copy(client):
    data = pictures.jpeg()
    walk(client, data)

    save_pending_uploads()

    photo = Photo.objects.get()
    assert photo.image.name == "photos/dune.jpg"
    assert pictures.stored(photo.image) == data


class KeepingForm(AsyncImageFormMixin, forms.ModelForm):
    class Meta:
        model = Photo
        fields = ["title", "image"]


class KeepingWizard(SessionWizardView):
    """Its first step may come back with an error."""

    form_list = [KeepingForm, forms.Form]
    file_storage = LazyFolder()
    template_name = "none.html"

    def get_form_kwargs(self, step=None):
        return {"request": self.request} if step == "0" else {}

    def render(self, form=None, **kwargs):
        return HttpResponse(form.as_p())

    def done(self, form_list, **kwargs):
        form_list[0].save()
        return HttpResponse("saved")


urlpatterns.append(path("keeping/", KeepingWizard.as_view()))


def test_an_image_of_a_step_that_came_back_with_an_error_is_kept_to_the_end(client):
    def post(step, **data):
        answer = client.post("/keeping/", {"keeping_wizard-current_step": step, **data})
        return answer.content.decode()

    image = pictures.as_file(pictures.jpeg())
    image.name = "dune.jpg"
    client.get("/keeping/")
    page = post("0", **{"0-image": image})
    [token] = re.findall(r'name="0-image-draft" value="([^"]+)"', page)
    post("0", **{"0-title": "Dune", "0-image-draft": token})

    assert post("1") == "saved"
    assert Upload.objects.get().name == "dune.jpg"
