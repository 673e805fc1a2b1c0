"""Settings of the site. The environment has the harness's choices for this run."""

import json
import os
from pathlib import Path

from . import clock  # noqa: F401

#: The shared choices of all processes of a run, see harness.py.
RUN = json.loads(os.environ["FAULTS_RUN"])
#: "site", "worker", "beat" or "harness".
ROLE = os.environ.get("FAULTS_ROLE", "harness")
#: The version of the project that this process runs: "after" a field was removed, or "before".
VERSION = os.environ.get("FAULTS_VERSION", "before")
FOLDER = Path(RUN["folder"])

SECRET_KEY = "for tests only"
USE_TZ = True
ROOT_URLCONF = "tests.faults.site.urls"
ALLOWED_HOSTS = ["*"]
MEDIA_ROOT = FOLDER / "media"
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
DATABASES = {"default": RUN["database"]}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

_FILES = {"BACKEND": "tests.faults.site.storages.Files", "OPTIONS": {"location": MEDIA_ROOT}}
STORAGES = {
    "default": {"BACKEND": "tests.faults.site.objects.Objects"} if RUN["s3"] else _FILES,
    "covers": _FILES,
    "async_forms": {"BACKEND": "tests.faults.site.storages.StagingRows"},
}
if RUN["staging"] == "files":
    STORAGES["async_forms"] = {
        "BACKEND": "tests.faults.site.storages.StagingFiles",
        "OPTIONS": {"location": FOLDER / "staging"},
    }
AWS_S3_ENDPOINT_URL = RUN["s3"]
AWS_ACCESS_KEY_ID = AWS_SECRET_ACCESS_KEY = "for tests only"
AWS_STORAGE_BUCKET_NAME = "pictures"
AWS_S3_REGION_NAME = "us-east-1"
#: A user's file name must not overwrite another file.
AWS_S3_FILE_OVERWRITE = False

CELERY_BROKER_URL = RUN["broker"]
CELERY_TASK_DEFAULT_QUEUE = RUN["queue"]
CELERY_TASK_TIME_LIMIT = RUN["time_limit"]
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULE = {
    "recover": {"task": "django_async_forms.recover_uploads", "schedule": RUN["recover_every"]}
}
ASYNC_FORMS = RUN["async_forms"]

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
