"""Settings of the example on several hosts; what differs between them is in the environment."""

import os
from urllib.parse import unquote, urlsplit

from project import settings as example
from project.settings import *  # noqa: F403

SECRET_KEY = os.environ["SECRET_KEY"]
DEBUG = False
TIME_ZONE = "UTC"  # In the logs of all hosts.
ALLOWED_HOSTS = os.environ["ALLOWED_HOSTS"].split(",")
MIDDLEWARE = [
    "production.watch.watch",  # First: who watches knows a host by its address, without TLS.
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    *(name for name in example.MIDDLEWARE if not name.endswith(".SecurityMiddleware")),
]
# Serves the static files of the installed apps, so that no host needs a copy of them.
WHITENOISE_USE_FINDERS = True

# TLS ends at the proxy, which says so. It sends Strict-Transport-Security, too.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
SILENCED_SYSTEM_CHECKS = ["security.W004"]

_database = urlsplit(os.environ["DATABASE_URL"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": _database.hostname,
        "PORT": _database.port,
        "NAME": _database.path[1:],
        "USER": unquote(_database.username or ""),
        "PASSWORD": unquote(_database.password or ""),
        # For the site; what keeps connections in a worker is CELERY_DB_REUSE_MAX.
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }
}

# No "async_forms": uploads wait in the database, which web and workers share. Nothing else is.
STORAGES = {
    "default": {
        "BACKEND": "storages.backends.s3.S3Storage",
        # Keys, region and endpoint are read from the environment by boto3 itself.
        "OPTIONS": {"bucket_name": os.environ["S3_BUCKET"], "file_overwrite": False},
    },
    "staticfiles": example.STORAGES["staticfiles"],
}
# Browsers load the images from the object store, which the policy of the pages has to allow.
_images = "img-src " + os.environ["IMAGE_ORIGIN"]
POLICY = example.POLICY.replace("img-src", _images)
ADMIN_POLICY = example.ADMIN_POLICY.replace("img-src", _images)
# Where files above FILE_UPLOAD_MAX_MEMORY_SIZE are while their request arrives: named for the site
# only, as Django's system checks want the folder to be there.
FILE_UPLOAD_TEMP_DIR = os.environ.get("FILE_UPLOAD_TEMP_DIR")

# Two images in a form, so nginx takes requests of 42 MB.
ASYNC_FORMS = {
    "MAX_BYTES": 20 * 1024**2,
    "TELEMETRY": ["django_async_forms.prometheus.observe"],
}

CELERY_BROKER_URL = os.environ["BROKER_URL"]
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"confirm_publish": True}
# Images have a queue and workers of their own; the other tasks, recover_uploads among them, too.
CELERY_TASK_ROUTES = {"django_async_forms.save_image": {"queue": "images"}}
# Seconds. Both below RESEND_AFTER, so that an attempt is over before its image is sent again.
CELERY_TASK_ANNOTATIONS = {
    "django_async_forms.save_image": {"soft_time_limit": 60, "time_limit": 90},
}
# Take no image that is not worked at now, and leave it to a worker that is idle.
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_DB_REUSE_MAX = 1000
CELERY_BEAT_SCHEDULE = {
    "recover uploads": {
        "task": "django_async_forms.recover_uploads",
        "schedule": 60,
        "options": {"expires": 60},  # While no worker runs, they do not pile up.
    },
}
CELERY_IMPORTS = ["production.ready"]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
        "json": {"()": "django_async_forms.log.JSONFormatter"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line"},
        "uploads": {"class": "logging.StreamHandler", "formatter": "json"},
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        # A worker replaces the handlers of the root logger by its own.
        "django_async_forms": {"handlers": ["uploads"], "level": "INFO", "propagate": False},
    },
}
