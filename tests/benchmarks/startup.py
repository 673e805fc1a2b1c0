"""
Start-up: how much longer a process takes to start with the package than without it.

Both have Celery and the two of Django's apps that nearly every project has, because the first model
of a process takes longer than the next. The time is that of the processor, so a busy machine
matters less.
"""

import compileall
import subprocess
import sys

from .processes import ROOT
from .rounds import interleave

_PROGRAM = """
import sys, time
import celery, kombu.pools, PIL.Image
import django.forms, django.http, django.views.generic, django.core.checks, django.core.cache
import django.core.files.storage, django.core.files.uploadedfile, django.db.migrations
import django.contrib.auth.decorators, django.contrib.messages.views, django.middleware.csrf
import django.views.decorators.cache, django.views.decorators.csrf, django.views.decorators.http
from celery import shared_task, current_app
from django.conf import settings
settings.configure(INSTALLED_APPS=[], DATABASES={"default": {
    "ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}, USE_TZ=True)
settings.INSTALLED_APPS = [
    "django.contrib.contenttypes", "django.contrib.auth", "crispy_forms", *sys.argv[1:]]
import django, crispy_forms.helper, crispy_forms.layout
import django.db.models
from django.db import connection
connection.ensure_connection()
start = time.process_time()
django.setup()
if sys.argv[1:]:
    import django_async_forms.forms, django_async_forms.views, django_async_forms.tasks
    import django_async_forms.uploads, django_async_forms.storage, django_async_forms.signals
print(time.process_time() - start)
"""


def measure(results, places, rounds, progress):
    """Start a process with the package and one without it, in turn; both with Django and Celery."""
    # Compile first, as pip does: the environment may forbid a process to write byte code.
    compileall.compile_dir(ROOT / "django_async_forms", quiet=1)
    cases = {
        "with the package": lambda: _start("django_async_forms"),
        "without it": lambda: _start(),
    }
    interleave(results, ("start-up",), cases, rounds, progress)


def _start(*apps):
    output = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *apps],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return float(output.stdout)
