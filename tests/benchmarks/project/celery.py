"""The Celery app of the benchmarks."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.benchmarks.project.settings")

app = Celery("tests.benchmarks.project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
