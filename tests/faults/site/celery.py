"""The Celery app of the site, which goes by the clock of its host."""

import os
from datetime import timedelta

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.faults.site.settings")


class App(Celery):
    """Celery on a host whose clock may be wrong."""

    def now(self):
        from .clock import offset

        return super().now() + timedelta(seconds=offset())


app = App("tests.faults.site")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
