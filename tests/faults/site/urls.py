"""The pages of the site."""

from django.http import HttpResponse
from django.urls import include, path

from . import views

urlpatterns = [
    path("", lambda request: HttpResponse("Here.")),
    path("add/", views.PictureCreateView.as_view()),
    path("<int:pk>/change/", views.PictureUpdateView.as_view()),
    path("<int:pk>/delete/", views.delete),
    path("", include("django_async_forms.urls")),
    path("albums/add/", views.slides),
    path("albums/<int:pk>/change/", views.slides),
]
