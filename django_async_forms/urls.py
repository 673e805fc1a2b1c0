"""The URL where pages ask for the status of their images. Include it anywhere."""

from django.urls import path

from .status import image_status

app_name = "django_async_forms"
urlpatterns = [path("status/", image_status, name="status")]
