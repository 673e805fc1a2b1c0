"""The admin."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("async-forms/", include("django_async_forms.urls")),
    path("admin/", admin.site.urls),
]
