"""Settings of the example: Django's own, and below them what django_async_forms and Celery need."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
#: All that the example writes: the database, media, uploads that wait, messages, logs.
DATA = Path(os.environ.get("EXAMPLE_DATA", BASE_DIR / "data"))

SECRET_KEY = "an example has no secrets"
DEBUG = True
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
ROOT_URLCONF = "project.urls"
USE_TZ = True

INSTALLED_APPS = [
    "photos",  # Before the admin, to whose login page it adds a hint.
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "crispy_forms",
    "crispy_bootstrap5",
    "django_async_forms",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "photos.middleware.content_security_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "photos.middleware.stopwatch",
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

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA / "db.sqlite3",
        # The site and the worker write at the same time: whoever comes second waits.
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STATIC_URL = "/static/"
MEDIA_URL = "/media/"
MEDIA_ROOT = DATA / "media"

CRISPY_ALLOWED_TEMPLATE_PACKS = "bootstrap5"
CRISPY_TEMPLATE_PACK = "bootstrap5"

# A page runs only scripts that carry its nonce, so an uploaded file never becomes one, and no text
# becomes HTML. Chosen images are shown from blob: addresses before they are sent.
POLICY = (
    "default-src 'none'; script-src 'nonce-NONCE'; style-src 'self' 'nonce-NONCE'; "
    "img-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)
# The scripts of Django's admin carry no nonce. They include jQuery, which Trusted Types would stop.
ADMIN_POLICY = POLICY.replace("'nonce-NONCE';", "'self';").rpartition("; ")[0]

# Uploads arrive in one folder, wait for the worker in another, and end in MEDIA_ROOT. All three are
# on one file system, so that they are linked from one to the next and never copied.
FILE_UPLOAD_TEMP_DIR = DATA / "incoming"
STORAGES = {
    # As slow as an object store on the other side of an ocean.
    "default": {
        "BACKEND": "photos.storage.SlowFileSystemStorage",
        "OPTIONS": {"seconds": float(os.environ.get("SLOW_STORAGE_SECONDS", 2))},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "async_forms": {
        "BACKEND": "django_async_forms.storage.StagingFileSystemStorage",
        "OPTIONS": {"location": DATA / "staging"},
    },
}

# A broker that needs no server: messages are files in a folder. Use Redis or RabbitMQ in earnest:
# in a folder, a worker may come upon a message that is half written, and ends. Here another takes
# its place, and what got lost is sent again.
CELERY_BROKER_URL = "filesystem://"
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "data_folder_in": str(DATA / "broker"),
    "data_folder_out": str(DATA / "broker"),
    "control_folder": str(DATA / "broker" / "control"),
    "polling_interval": 0.05,
}
CELERY_BEAT_SCHEDULE = {
    "recover uploads": {"task": "django_async_forms.recover_uploads", "schedule": 10},
}
ASYNC_FORMS = {"RESEND_AFTER": 10}
