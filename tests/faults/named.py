"""The settings of a user that name a run's broker, database and storages. Nothing else is used."""

import importlib
import importlib.util
import sys
from functools import cache
from pathlib import Path

from .errors import SettingsError

#: What a run takes from ASYNC_FORMS: times and numbers of the delivery, and the checksum. The
#: limits on users, and the keys that name code of the project, are left out.
ASYNC_FORMS = (
    "MAX_ATTEMPTS",
    "RETRY_PAUSE",
    "MAX_RETRY_PAUSE",
    "PUBLISH_TIMEOUT",
    "PUBLISH_PAUSE",
    "RESEND_AFTER",
    "RECOVER_BATCH",
    "CHECKSUM",
)
#: What it takes of Celery's settings, and the names that would lead to other servers.
CELERY = ("CELERY_BROKER_", "CELERY_TASK_DEFAULT_QUEUE_TYPE", "CELERY_WORKER_PREFETCH_MULTIPLIER")
ELSEWHERE = ("CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL")
#: The settings of storages in django-storages, and Django's own.
STORAGES = ("AWS_", "AZURE_", "GS_", "GOOGLE_", "DROPBOX_", "SFTP_", "MEDIA_", "FILE_UPLOAD_PERM")
FILES = "django.core.files.storage.FileSystemStorage"
ROWS = "django_async_forms.storage.DatabaseStorage"


class Named:
    """What the settings in ``where``, a file or a module, name. Raises ``SettingsError``."""

    def __init__(self, where):
        self._where = where
        settings = vars(_load(where))
        self._settings = {name: value for name, value in settings.items() if name.isupper()}
        self.database = self._entry("DATABASES", "default")
        for name in ELSEWHERE:
            if self._settings.get(name):
                raise SettingsError(f"{name} names another broker. Use CELERY_BROKER_URL alone.")
        self.broker = self._settings.get("CELERY_BROKER_URL")
        if not self.broker:
            raise SettingsError(f"{where} has no CELERY_BROKER_URL.")
        if not isinstance(self.broker, str) or ";" in self.broker:
            raise SettingsError(
                f"CELERY_BROKER_URL is {self.broker!r}. Name one broker, which a proxy can stand "
                "before."
            )
        self.broker_options = self._settings.get("CELERY_BROKER_TRANSPORT_OPTIONS") or {}
        self.broker_tls = self._settings.get("CELERY_BROKER_USE_SSL")
        self.queue_type = self._settings.get("CELERY_TASK_DEFAULT_QUEUE_TYPE")
        self.storages = self._storages()
        own = self._settings.get("ASYNC_FORMS") or {}
        self.async_forms = {key: own[key] for key in ASYNC_FORMS if key in own}

    def settings(self):
        """Yield (name, value) of the settings that processes use as they are."""
        for name, value in self._settings.items():
            if name.startswith((*CELERY, *STORAGES)) and name != "CELERY_BROKER_URL":
                yield name, value

    def _entry(self, setting, alias):
        entries = self._settings.get(setting)
        if not isinstance(entries, dict) or not isinstance(entries.get(alias), dict):
            raise SettingsError(f'{self._where} has no {setting}["{alias}"].')
        return entries[alias]

    def _storages(self):
        """Return the entries of the final storage and the staging storage."""
        storages = dict(self._settings.get("STORAGES") or {})
        if "default" not in storages:
            if not self._settings.get("MEDIA_ROOT"):
                raise SettingsError(
                    f'{self._where} has neither STORAGES["default"] nor MEDIA_ROOT. A run stores '
                    "images in a folder of its own there."
                )
            storages["default"] = {"BACKEND": FILES}
        storages.setdefault("async_forms", {"BACKEND": ROWS})
        for alias in ("default", "async_forms"):
            if not isinstance(storages[alias], dict) or "BACKEND" not in storages[alias]:
                raise SettingsError(f'STORAGES["{alias}"] has no "BACKEND".')
        return {alias: storages[alias] for alias in ("default", "async_forms")}


@cache
def _load(where):
    """Import the settings from a file, or as a module."""
    path = Path(where)
    try:
        if path.suffix != ".py":
            return importlib.import_module(where)
        # As for a script: its neighbours can be imported.
        sys.path.append(str(path.parent))
        spec = importlib.util.spec_from_file_location(f"settings_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except Exception as error:  # The module is the user's, and may raise anything.
        raise SettingsError(f"--settings {where} cannot be imported: {error!r}") from error
    return module
