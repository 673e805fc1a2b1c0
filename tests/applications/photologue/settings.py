"""The test project's settings with Photologue, and those of its page."""

# ruff: noqa: F403, F405
from pathlib import Path

from tests.applications.site import make_site
from tests.project.settings import *

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.sites",
    "django.contrib.staticfiles",
    "photologue",
    "sortedm2m",
    "crispy_forms",
    "django_async_forms",
    "photos",
]
# Photologue's pages extend the site's own "base.html".
TEMPLATES = [{**TEMPLATES[0], "DIRS": [Path(__file__).parent / "templates"]}]
DATABASES = {"default": DATABASES["default"]}
DATABASE_ROUTERS = []
ROOT_URLCONF = "tests.applications.photologue.urls"
SITE_ID = 1

globals().update(make_site("docs/howto/photologue.rst", DATA / "site"))
