"""The pages of the example: the photos, the admin, and the images themselves."""

from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("uploads/", include("django_async_forms.urls")),
    path("", include("photos.urls")),
    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),
]
