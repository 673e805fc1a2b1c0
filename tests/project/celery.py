"""The Celery app of the test project, as in Celery's documentation."""

import os

from celery import Celery

from . import broker  # noqa: F401

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.project.settings")

app = Celery("tests.project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
