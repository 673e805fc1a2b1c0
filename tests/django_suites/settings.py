"""The settings of Django's own suites, on the database that SUITES_DATABASE names."""

import os

from test_sqlite import *  # noqa: F403 - from the folder of Django's tests

if os.environ.get("SUITES_DATABASE") == "postgresql":
    DATABASES = {
        alias: {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": f"{os.environ.get('SUITES_PREFIX', 'suites')}_{alias}",
            "HOST": os.environ.get("PGHOST", "127.0.0.1"),
            "PORT": os.environ.get("PGPORT", "5432"),
            "USER": os.environ.get("PGUSER", "postgres"),
            "PASSWORD": os.environ.get("PGPASSWORD", ""),
        }
        for alias in ("default", "other")
    }

TEST_RUNNER = "tests.django_suites.results.RecordingRunner"
