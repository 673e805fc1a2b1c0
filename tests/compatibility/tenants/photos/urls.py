"""The pages of each tenant."""

from django.urls import include, path

from django_async_forms.views import AsyncImageCreateView, AsyncImageUpdateView

from .models import Photo


class Add(AsyncImageCreateView):
    model = Photo
    fields = ["title", "image"]
    success_url = "/"


class Change(AsyncImageUpdateView):
    model = Photo
    fields = ["title", "image"]
    success_url = "/"


urlpatterns = [
    path("add/", Add.as_view()),
    path("change/<int:pk>/", Change.as_view()),
    path("async-forms/", include("django_async_forms.urls")),
]
