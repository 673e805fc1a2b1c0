"""The URLs of a shop with Oscar."""

from django.apps import apps
from django.urls import include, path

urlpatterns = [
    path("async-forms/", include("django_async_forms.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("", include(apps.get_app_config("oscar").urls[0])),
]
