"""The URLs of a site with django-formset."""

from django.urls import include, path
from photos.views import PhotoCreateView, PhotoUpdateView

urlpatterns = [
    path("async-forms/", include("django_async_forms.urls")),
    path("add/", PhotoCreateView.as_view(template_name="form.html")),
    path("<int:pk>/", PhotoUpdateView.as_view(template_name="form.html")),
]
