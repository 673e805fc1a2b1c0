"""One address for each way to answer a form."""

from pathlib import Path

from django.contrib import admin
from django.forms import ModelForm, modelform_factory
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import include, path
from django.views.static import serve

import django_async_forms
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.views import AsyncImageCreateView

from . import by_hand
from .models import Distant50, Distant200, Photo


def form_class(model, form=ModelForm):
    return modelform_factory(model, form, fields=["title", "image"])


def post(form_class, save=lambda form: form.save()):
    """Return a view that redirects after a valid form."""

    def view(request):
        form = form_class(request.POST, request.FILES)
        if not form.is_valid():
            return HttpResponse(form.errors.as_text(), status=400)
        save(form)
        return HttpResponseRedirect("/")

    return view


def discard(request):
    """Receive a form and discard it."""
    assert request.FILES["image"].size
    return HttpResponseRedirect("/")


STATIC = Path(django_async_forms.__file__).parent / "static"
FORM = {"model": Photo, "fields": ["title", "image"], "success_url": "/saved/"}

urlpatterns = [
    path("async/", post(form_class(Photo, AsyncImageModelForm))),
    path(
        "drafted/",
        AsyncImageCreateView.as_view(model=Photo, fields=["title", "image"], success_url="."),
    ),
    path("browser/", AsyncImageCreateView.as_view(**FORM)),
    path("browser/plain/", AsyncImageCreateView.as_view(**FORM, drafts=False)),
    path(
        "saved/", lambda request: HttpResponse("<!doctype html><title>Saved</title><h1>Saved</h1>")
    ),
    path("uploads/", include("django_async_forms.urls")),
    path("static/<path:path>", serve, {"document_root": STATIC}),
    path("admin/", admin.site.urls),
    path("discarded/", discard),
    path("title/", post(modelform_factory(Photo, fields=["title"]))),
    path("validated/", post(form_class(Photo), save=lambda form: None)),
    path("by-hand/", post(form_class(Photo), by_hand.save)),
    path("plain/", post(form_class(Photo))),
    path("distant-50/", post(form_class(Distant50))),
    path("distant-200/", post(form_class(Distant200))),
]
