"""The test project's settings with Wagtail, and those of its page."""

from tests.applications.site import make_site
from tests.project.settings import *  # noqa: F403

INSTALLED_APPS = [
    "wagtail.contrib.redirects",
    "wagtail.contrib.settings",
    "wagtail.embeds",
    "wagtail.sites",
    "wagtail.users",
    "wagtail.snippets",
    "wagtail.documents",
    "wagtail.images",
    "wagtail.search",
    "wagtail.admin",
    "wagtail",
    "modelcluster",
    "taggit",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "crispy_forms",
    "django_async_forms",
    "photos",
]
DATABASES = {"default": DATABASES["default"]}  # noqa: F405
DATABASE_ROUTERS = []
ROOT_URLCONF = "tests.applications.wagtail.urls"
WAGTAIL_SITE_NAME = "Photos"
WAGTAILADMIN_BASE_URL = "http://testserver"

globals().update(make_site("docs/howto/wagtail.rst", DATA / "site"))  # noqa: F405
