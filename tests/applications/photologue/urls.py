"""The URLs of a site with Photologue."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("photologue.urls", namespace="photologue")),
]
