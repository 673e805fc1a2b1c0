"""Views of the test project, as a user would write them."""

from django.views.generic import DetailView

from django_async_forms.views import AsyncImageCreateView, AsyncImageUpdateView

from .models import Photo


class PhotoCreateView(AsyncImageCreateView):
    model = Photo
    fields = ["title", "image"]


class PhotoUpdateView(AsyncImageUpdateView):
    model = Photo
    fields = ["title", "image"]


class PhotoDetailView(DetailView):
    model = Photo
