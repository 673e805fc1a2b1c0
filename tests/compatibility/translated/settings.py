"""The test project's settings with two languages, and without unneeded apps."""

from tests.project.settings import *  # noqa: F403

LANGUAGES = [("en", "English"), ("de", "German")]
LANGUAGE_CODE = "en"
INSTALLED_APPS = [
    "modeltranslation",  # Before the admin, whose templates it extends.
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "crispy_forms",
    "crispy_bootstrap5",
    "django_async_forms",
    "tests.compatibility.translated",
]
ROOT_URLCONF = "tests.compatibility.translated.cases"
DATABASES = {"default": DATABASES["default"]}  # noqa: F405
DATABASE_ROUTERS = []
