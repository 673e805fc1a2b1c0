"""The test project's settings with Filer, and those of its page."""

# ruff: noqa: F403, F405
from tests.applications.site import make_site
from tests.project.settings import *

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "filer",
    "easy_thumbnails",
    "polymorphic",
    "crispy_forms",
    "django_async_forms",
    "photos",
]
DATABASES = {"default": DATABASES["default"]}
DATABASE_ROUTERS = []
ROOT_URLCONF = "tests.applications.filer.urls"
FILER_ENABLE_PERMISSIONS = True  # An image is public or private.

globals().update(make_site("docs/howto/filer.rst", DATA / "site"))
