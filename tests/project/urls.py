"""The pages of the test project."""

from django.contrib import admin
from django.urls import path

from . import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("photos/add/", views.PhotoCreateView.as_view(), name="photo-add"),
    path("photos/<int:pk>/", views.PhotoDetailView.as_view(), name="photo"),
    path("photos/<int:pk>/change/", views.PhotoUpdateView.as_view(), name="photo-change"),
]
