"""The settings of Wagtail's own tests, with the package under Wagtail."""

import os

from wagtail.test.settings import *  # noqa: F403

from tests.applications.suite import apps

INSTALLED_APPS = [*INSTALLED_APPS, *apps()]  # noqa: F405
# Its own folder keeps the files of an earlier run, and a file of the same name gets another name.
MEDIA_ROOT = os.environ["SUITES_MEDIA"]
TEST_RUNNER = "tests.django_suites.results.RecordingRunner"
