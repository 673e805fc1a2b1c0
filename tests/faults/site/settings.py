"""Settings of the site. The engines are those of the tests, or those that a user has named."""

import os

from tests.faults.databases import merged
from tests.faults.named import Named

from . import clock  # noqa: F401
from .run import FOLDER, ROLE, RUN

#: The version of the project that this process runs: "after" a field was removed, or "before".
VERSION = os.environ.get("FAULTS_VERSION", "before")

MEDIA_ROOT = FOLDER / "media"
named = Named(RUN["settings"]) if RUN["settings"] else None
if named:
    globals().update(named.settings())

SECRET_KEY = "for tests only"
USE_TZ = True
ROOT_URLCONF = "tests.faults.site.urls"
ALLOWED_HOSTS = ["*"]
MEDIA_URL = "/media/"
FILE_UPLOAD_TEMP_DIR = FOLDER / "temporary"
FILE_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024
INSTALLED_APPS = ["django_async_forms", "tests.faults.site.apps.SiteConfig"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "tests.faults.site.draft_steps.count_statements",
]
#: In the cookie, so that no statement of a session's is among those of drafts.
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DATABASES = {"default": merged(named.database if named else {}, RUN["database"])}
if RUN["replica"] and ROLE != "harness":
    DATABASES["replica"] = merged(DATABASES["default"], RUN["replica"])
    DATABASE_ROUTERS = ["tests.faults.site.routers.ReadsFromReplica"]

#: The entries without faults: the harness looks at their files.
ENTRIES = named.storages if named else RUN["storages"]
STORAGES = {
    alias: {"BACKEND": f"tests.faults.site.storages.{kind}", "OPTIONS": {"alias": alias}}
    for alias, kind in (("default", "final"), ("covers", "final"), ("async_forms", "staging"))
}

CELERY_BROKER_URL = RUN["broker"]
CELERY_BROKER_TRANSPORT_OPTIONS = {
    **globals().get("CELERY_BROKER_TRANSPORT_OPTIONS", {}),
    **RUN["broker_options"],
}
if RUN["queue_type"]:
    CELERY_TASK_DEFAULT_QUEUE_TYPE = RUN["queue_type"]
CELERY_TASK_DEFAULT_QUEUE = RUN["queue"]
#: Everything on the broker has the name of the queue.
CELERY_EVENT_EXCHANGE = f"{RUN['queue']}_events"
CELERY_EVENT_QUEUE_PREFIX = RUN["queue"]
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_TASK_TIME_LIMIT = RUN["time_limit"]
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULE = {
    "recover": {"task": "django_async_forms.recover_uploads", "schedule": RUN["recover_every"]}
}
ASYNC_FORMS = {**(named.async_forms if named else {}), **RUN["async_forms"]}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"times": {"format": "{asctime} {process} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "times"}},
    "loggers": {
        "django_async_forms": {"handlers": ["console"], "level": "DEBUG"},
        "django.request": {"handlers": ["console"], "level": "ERROR"},
    },
}
