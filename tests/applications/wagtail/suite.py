"""The settings of Wagtail's own tests, with the package under Wagtail."""

from wagtail.test.settings import *  # noqa: F403

from tests.applications.suite import apps

INSTALLED_APPS = [*INSTALLED_APPS, *apps()]  # noqa: F405
TEST_RUNNER = "tests.django_suites.results.RecordingRunner"
