"""The test project's settings with django-formset, and those of its page."""

# ruff: noqa: F403, F405
from tests.applications.site import make_site
from tests.project.settings import *

MODELS = """
from django.db import models


class Photo(models.Model):
    title = models.CharField(max_length=100)
    image = models.ImageField(upload_to="photos", blank=True)
"""

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "formset",
    "crispy_forms",
    "django_async_forms",
    "photos",
]
DATABASES = {"default": DATABASES["default"]}
DATABASE_ROUTERS = []
ROOT_URLCONF = "tests.applications.formset.urls"
STATIC_URL = "/static/"

globals().update(
    make_site("docs/howto/formset.rst", DATA / "site", more={"photos/models.py": MODELS})
)
