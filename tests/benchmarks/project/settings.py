"""Settings of the benchmarks. What differs between their processes comes from the environment."""

import json
import os
from importlib.util import find_spec
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
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "crispy_forms",
    "django_async_forms",
    "tests.benchmarks.project",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
]
# What only the pages of the admin need. A benchmark has them for its own requests.
ADMIN_MIDDLEWARE = [
    *MIDDLEWARE,
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"

#: One database for uploads on each server, and one for each number of rows on PostgreSQL.
ROWS = [100, 10_000, 1_000_000]


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
    settings = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ.get("PGHOST", "127.0.0.1"),
        # A proxy that makes the server distant, or a pool of connections, takes its place.
        "PORT": os.environ.get("BENCHMARK_PORT", os.environ.get("PGPORT", "")),
        "USER": os.environ.get("PGUSER", "postgres"),
        "PASSWORD": os.environ.get("PGPASSWORD", ""),
        "NAME": f"{PREFIX}_{name}",
        "CONN_MAX_AGE": None,
    }
    if os.environ.get("BENCHMARK_POOL") == "psycopg":
        settings |= {"CONN_MAX_AGE": 0, "OPTIONS": {"pool": True}}
    if os.environ.get("BENCHMARK_POOL") == "PgBouncer":
        # It closes no prepared statements and cursors of a client.
        settings |= {"DISABLE_SERVER_SIDE_CURSORS": True}
    return settings


def _mariadb(name):
    return {
        "ENGINE": "django.db.backends.mysql",
        "HOST": os.environ.get("MYSQL_HOST", "127.0.0.1"),
        "PORT": os.environ.get("MYSQL_PORT", ""),
        "USER": os.environ.get("MYSQL_USER", "root"),
        "PASSWORD": os.environ.get("MYSQL_PASSWORD", ""),
        "NAME": f"{PREFIX}_{name}",
        "OPTIONS": {"charset": "utf8mb4"},
        "CONN_MAX_AGE": None,
    }


DATABASES = {
    "default": {},
    "sqlite": _sqlite("uploads"),
    "postgresql": _postgresql("uploads"),
    **{f"postgresql_{rows}": _postgresql(f"rows_{rows}") for rows in ROWS},
}
if find_spec("MySQLdb"):
    DATABASES["mariadb"] = _mariadb("uploads")
DATABASE_ROUTERS = ["tests.benchmarks.project.routers.Router"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

MEDIA_ROOT = DATA / "media"
FILE_UPLOAD_TEMP_DIR = DATA / "temporary"
if os.environ.get("BENCHMARK_HANDLER") == "flushing":
    FILE_UPLOAD_HANDLERS = [
        "django.core.files.uploadhandler.MemoryFileUploadHandler",
        "django_async_forms.uploadhandler.FlushingFileUploadHandler",
    ]


#: The address of an object store, for the processes that have one.
S3_URL = os.environ.get("BENCHMARK_S3", "")


def object_store(url):
    """Return the entry of ``STORAGES`` for a store at an address."""
    options = {"bucket_name": "photos", "endpoint_url": url, "region_name": "us-east-1"}
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}


def storages_with(staging):
    """Return ``STORAGES`` with a staging storage: "database", "files" or "files, no fsync"."""
    chosen = {"default": {"BACKEND": "django.core.files.storage.FileSystemStorage"}}
    if S3_URL:
        chosen["default"] = object_store(S3_URL)
    if staging.startswith("files"):
        chosen["async_forms"] = {
            "BACKEND": "django_async_forms.storage.StagingFileSystemStorage",
            "OPTIONS": {"location": DATA / "staging", "fsync": "no fsync" not in staging},
        }
    return chosen


STORAGES = storages_with(os.environ.get("BENCHMARK_STAGING", "database"))
# The store of the benchmarks does not check them.
os.environ.setdefault("AWS_ACCESS_KEY_ID", "none")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "none")

CELERY_BROKER_URL = os.environ["BENCHMARK_BROKER"]
CELERY_BROKER_TRANSPORT_OPTIONS = json.loads(os.environ["BENCHMARK_BROKER_OPTIONS"])
CELERY_TASK_DEFAULT_QUEUE = os.environ["BENCHMARK_QUEUE"]
# A busy machine must not lose a message that a part waits for.
ASYNC_FORMS = json.loads(os.environ.get("BENCHMARK_ASYNC_FORMS", '{"PUBLISH_TIMEOUT": 10}'))
CELERY_ACCEPT_CONTENT = ["json"]
if os.environ.get("BENCHMARK_REUSE") != "no":
    CELERY_DB_REUSE_MAX = 1000
