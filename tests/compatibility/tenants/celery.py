"""
A Celery app whose messages name the schema that they are about.

A worker has to be in the schema before it can look for the upload there. So this goes with the
message, and not with the upload.
"""

import os

from celery import Celery
from celery.signals import before_task_publish, task_postrun, task_prerun

from tests.project import broker  # noqa: F401

from .context import schema

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.compatibility.tenants.settings")

app = Celery("tests.compatibility.tenants")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@before_task_publish.connect
def name_schema(headers, **kwargs):
    from django.db import connection

    # Messages of a form leave in a thread of their own, whose connection is in the public schema.
    # Recovery sends in its own thread, in the schema that it recovers.
    here = connection.schema_name
    headers["schema"] = schema.get() if here == "public" else here


@task_prerun.connect
def enter_schema(task, **kwargs):
    from django.db import connection

    connection.set_schema(getattr(task.request, "schema", None) or "public")


@task_postrun.connect
def leave_schema(**kwargs):
    from django.db import connection

    connection.set_schema_to_public()
