"""Settings of the benchmarks. What differs between their processes comes from the environment."""

import json
import os
from pathlib import Path

#: The folder of one run, with database files, media, staged files and temporary uploads.
DATA = Path(os.environ["BENCHMARK_DATA"])
#: Keeps runs on one database server apart.
PREFIX = os.environ["BENCHMARK_PREFIX"]
#: The database that this process begins with.
ROUTED_TO = os.environ.get("BENCHMARK_DATABASE", "sqlite")

SECRET_KEY = "for benchmarks only"
USE_TZ = True
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.benchmarks.project.urls"
WSGI_APPLICATION = "tests.benchmarks.project.wsgi.application"
INSTALLED_APPS = ["crispy_forms", "django_async_forms", "tests.benchmarks.project"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
STATIC_URL = "/static/"
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"

#: One database for uploads, and one for each number of uploads that are pending already.
PENDING = [100, 10_000, 1_000_000]


def _sqlite(name):
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA / f"{name}.sqlite3",
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
        "CONN_MAX_AGE": None,
    }


def _postgresql(name):
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ.get("PGHOST", "127.0.0.1"),
        "PORT": os.environ.get("PGPORT", ""),
        "USER": os.environ.get("PGUSER", "postgres"),
        "PASSWORD": os.environ.get("PGPASSWORD", ""),
        "NAME": f"{PREFIX}_{name}",
        "CONN_MAX_AGE": None,
    }


DATABASES = {"default": {}}
for _vendor, _database in (("sqlite", _sqlite), ("postgresql", _postgresql)):
    DATABASES[_vendor] = _database("uploads")
    for _rows in PENDING:
        DATABASES[f"{_vendor}_{_rows}"] = _database(f"pending_{_rows}")
DATABASE_ROUTERS = ["tests.benchmarks.project.routers.Router"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

MEDIA_ROOT = DATA / "media"
FILE_UPLOAD_TEMP_DIR = DATA / "temporary"
if os.environ.get("BENCHMARK_HANDLER") == "flushing":
    FILE_UPLOAD_HANDLERS = [
        "django.core.files.uploadhandler.MemoryFileUploadHandler",
        "django_async_forms.uploadhandler.FlushingFileUploadHandler",
    ]


def storages_with(staging):
    """Return ``STORAGES`` with a staging storage: "database", "files" or "files, no fsync"."""
    chosen = {"default": {"BACKEND": "django.core.files.storage.FileSystemStorage"}}
    if staging.startswith("files"):
        chosen["async_forms"] = {
            "BACKEND": "django_async_forms.storage.StagingFileSystemStorage",
            "OPTIONS": {"location": DATA / "staging", "fsync": "no fsync" not in staging},
        }
    return chosen


STORAGES = storages_with(os.environ.get("BENCHMARK_STAGING", "database"))
#: An object store on the loopback device.
S3_URL = os.environ.get("BENCHMARK_S3", "")
# moto does not check them.
os.environ.setdefault("AWS_ACCESS_KEY_ID", "none")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "none")

CELERY_BROKER_URL = os.environ["BENCHMARK_BROKER"]
CELERY_BROKER_TRANSPORT_OPTIONS = json.loads(os.environ["BENCHMARK_BROKER_OPTIONS"])
CELERY_TASK_DEFAULT_QUEUE = os.environ["BENCHMARK_QUEUE"]
ASYNC_FORMS = json.loads(os.environ.get("BENCHMARK_ASYNC_FORMS", "{}"))
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_DB_REUSE_MAX = 1000
