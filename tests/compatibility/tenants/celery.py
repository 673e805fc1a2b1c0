"""The Celery app of the project. Its messages name the schema, as in the documentation."""

import os

from celery import Celery

from tests.pages import block
from tests.project import broker  # noqa: F401

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.compatibility.tenants.settings")

app = Celery("tests.compatibility.tenants")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

#: A reference, because Celery does not keep receivers alive.
receivers = block("docs/howto/tenants.rst", "before_task_publish").execute(__package__)
