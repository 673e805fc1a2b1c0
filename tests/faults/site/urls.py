"""The pages of the site."""

from django.http import HttpResponse
from django.urls import path

from . import views

urlpatterns = [
    path("", lambda request: HttpResponse("Here.")),
    path("add/", views.PictureCreateView.as_view()),
    path("<int:pk>/change/", views.PictureUpdateView.as_view()),
    path("<int:pk>/delete/", views.delete),
    path("albums/add/", views.slides),
    path("albums/<int:pk>/change/", views.slides),
]
