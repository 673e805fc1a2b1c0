"""The test project's settings with packages that need a whole project."""

# ruff: noqa: F403, F405
from tests.project.settings import *

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.import_export",
    "import_export",
    "parler",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "crispy_forms",
    "django_async_forms",
    "tests.applications.packages.photos",
]
DATABASES = {"default": DATABASES["default"]}
DATABASE_ROUTERS = []
ROOT_URLCONF = "tests.applications.packages.photos.urls"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "German")]
PARLER_LANGUAGES = {None: [{"code": "en"}, {"code": "de"}]}
