"""Settings of the test project. The environment has the choices of a run."""

import atexit
import json
import os
import shutil
import tempfile
from pathlib import Path

from tests.compatibility import libraries
from tests.recipes.apps import APPS as RECIPES

#: The folder of a run, with database files, media, staged files and the broker's folder. The run
#: passes it to its workers in the environment, and removes it.
if "TEST_DATA" not in os.environ:
    os.environ["TEST_DATA"] = tempfile.mkdtemp(prefix="django_async_forms_")
    atexit.register(shutil.rmtree, os.environ["TEST_DATA"], ignore_errors=True)
DATA = Path(os.environ["TEST_DATA"])

SECRET_KEY = "for tests only"
USE_TZ = True
ROOT_URLCONF = os.environ.get("TEST_URLCONF", "tests.project.urls")
MEDIA_ROOT = DATA / "media"
MEDIA_URL = "/media/"
STATIC_URL = "/static/"
FILE_UPLOAD_TEMP_DIR = DATA
ALLOWED_HOSTS = ["*"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # Logging in is quick.

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "crispy_forms",
    "crispy_bootstrap5",
    "django_async_forms",
    "tests.project.apps.ProjectConfig",
    "tests.habits.apps.HabitsConfig",
    *libraries.apps(),
    *RECIPES,
]

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],
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

#: Keeps runs on one database server apart.
PREFIX = os.environ.get("TEST_PREFIX", "")
DATABASE = os.environ.get("TEST_DATABASE", "sqlite")


def _database(name):
    if DATABASE == "postgresql":
        return {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": os.environ.get("PGHOST", "127.0.0.1"),
            "USER": os.environ.get("PGUSER", "postgres"),
            "NAME": "postgres",
            "TEST": {"NAME": f"test_async_forms_{PREFIX}{name}"},
        }
    if DATABASE == "mariadb":
        return {
            "ENGINE": "django.db.backends.mysql",
            "HOST": os.environ.get("MYSQL_HOST", "127.0.0.1"),
            "PORT": os.environ.get("MYSQL_PORT", ""),
            "USER": os.environ.get("MYSQL_USER", "root"),
            "PASSWORD": os.environ.get("MYSQL_PASSWORD", ""),
            "NAME": "test",
            "TEST": {"NAME": f"test_async_forms_{PREFIX}{name}", "CHARSET": "utf8mb4"},
        }
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA / f"{name}.sqlite3",
        # A file, because workers are other processes.
        "TEST": {"NAME": DATA / f"test_{name}.sqlite3"},
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }


DATABASES = {"default": _database("default"), "other": _database("other")}
if os.environ.get("TEST_WORKER"):
    # A worker that a test starts uses the test's databases.
    for _settings in DATABASES.values():
        _settings["NAME"] = _settings["TEST"]["NAME"]
DATABASE_ROUTERS = ["tests.project.routers.Router"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Most of the time of a test in the admin went into the password of its user.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
if os.environ.get("TEST_STAGING") == "files":
    STORAGES["async_forms"] = {
        "BACKEND": "django_async_forms.storage.StagingFileSystemStorage",
        "OPTIONS": {"location": DATA / "staging"},
    }

# Django 6.1 requires the setting. Earlier versions use this backend in tests anyway.
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}

CRISPY_ALLOWED_TEMPLATE_PACKS = "bootstrap5"
CRISPY_TEMPLATE_PACK = "bootstrap5"

BROKER_FOLDER = DATA / "broker"
CELERY_BROKER_URL = os.environ.get("TEST_BROKER", "filesystem://")
CELERY_TASK_DEFAULT_QUEUE = os.environ.get("TEST_QUEUE", "celery")
if CELERY_BROKER_URL == "filesystem://":
    BROKER_FOLDER.mkdir(exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(BROKER_FOLDER),
        "data_folder_out": str(BROKER_FOLDER),
        "control_folder": str(BROKER_FOLDER / "control"),
        "polling_interval": 0.05,
    }
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# No test starts beat, and the system checks look for the schedule.
CELERY_BEAT_SCHEDULE = {
    "recover uploads": {"task": "django_async_forms.recover_uploads", "schedule": 60}
}
if "TEST_DB_REUSE_MAX" in os.environ:
    CELERY_DB_REUSE_MAX = int(os.environ["TEST_DB_REUSE_MAX"])

# For tests/compatibility: two of its libraries call a module of template tags "thumbnail".
SILENCED_SYSTEM_CHECKS = ["templates.W003"]
PICTURES = {"PROCESSOR": "tests.compatibility.models.pictures.process_immediately"}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"django_async_forms": {"handlers": ["console"], "level": "DEBUG"}},
}

# A test passes these to its worker.
if "TEST_BROKER_OPTIONS" in os.environ:
    CELERY_BROKER_TRANSPORT_OPTIONS = json.loads(os.environ["TEST_BROKER_OPTIONS"])
if "TEST_FINAL_STORAGE" in os.environ:
    STORAGES["default"] = {"BACKEND": os.environ["TEST_FINAL_STORAGE"]}
ASYNC_FORMS = json.loads(os.environ.get("TEST_ASYNC_FORMS", "{}"))
