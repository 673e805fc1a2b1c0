"""The URLs that pages use: for the status of images, and to send and show them."""

from django.urls import path

from .previews import staged_image
from .status import aimage_status, image_status
from .tus import draft_view, drafts_view
from .view_kinds import SyncOrAsync

app_name = "django_async_forms"
urlpatterns = [
    path("status/", SyncOrAsync(image_status, aimage_status), name="status"),
    path("drafts/", drafts_view, name="drafts"),
    path("drafts/<str:token>/", draft_view, name="draft"),
    path("staged/<str:token>/", staged_image, name="staged"),
]
