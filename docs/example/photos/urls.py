"""The pages about photos and albums."""

from django.urls import path, reverse_lazy

from . import views

compare = reverse_lazy("compare")

urlpatterns = [
    path("", views.PhotoListView.as_view(), name="photos"),
    path("photos/add/", views.PhotoCreateView.as_view(), name="add"),
    path("photos/<int:pk>/", views.PhotoDetailView.as_view(), name="photo"),
    path("photos/<int:pk>/change/", views.PhotoUpdateView.as_view(), name="change"),
    path("albums/", views.AlbumListView.as_view(), name="albums"),
    path("albums/add/", views.edit_album, name="album-add"),
    path("albums/<int:pk>/", views.AlbumDetailView.as_view(), name="album"),
    path("albums/<int:pk>/change/", views.edit_album, name="album-change"),
    path("plain/add/", views.PlainPhotoCreateView.as_view(), name="plain-add"),
    # The two views that add a photo, which come back to the page with both forms.
    path("compare/", views.CompareView.as_view(), name="compare"),
    path(
        "compare/worker/",
        views.PhotoCreateView.as_view(success_url=compare),
        name="compare-worker",
    ),
    path(
        "compare/plain/",
        views.PlainPhotoCreateView.as_view(success_url=compare),
        name="compare-plain",
    ),
]
