"""The same pages with plain Django and with this package."""

from django.urls import include, path
from django.views.generic import CreateView, UpdateView

from django_async_forms.views import AsyncImageCreateView, AsyncImageUpdateView
from tests.project.models import Measured, Photo


def pages(name, create_view, update_view):
    common = {"template_name": "django_async_forms/form.html", "success_url": "/done/"}
    photo = {"model": Photo, "fields": ["title", "image"], **common}
    measured = {"model": Measured, "fields": ["title", "image", "cover"], **common}
    return [
        path(f"{name}/photo/add/", create_view.as_view(**photo)),
        path(f"{name}/photo/<int:pk>/", update_view.as_view(**photo)),
        path(f"{name}/measured/add/", create_view.as_view(**measured)),
    ]


urlpatterns = [
    path("", include("tests.project.urls")),
    *pages("plain", CreateView, UpdateView),
    *pages("async", AsyncImageCreateView, AsyncImageUpdateView),
]


def errors_on(response):
    """Return the form errors of a page, or nothing after a redirect."""
    return str(response.context["form"].errors) if response.context else ""
