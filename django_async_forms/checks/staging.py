"""Checks of the staging storage."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.files.storage import FileSystemStorage, InMemoryStorage, Storage
from django.db import DEFAULT_DB_ALIAS, connections

from ..storage import STAGING, DatabaseStorage, StagingFileSystemStorage, staging_storage

_ALIAS = f'STORAGES["{STAGING}"]'


def check_staging(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """The staging storage works, is private, and is shared by web and worker processes."""
    try:
        storage = staging_storage(DEFAULT_DB_ALIAS)
        is_folder = isinstance(storage, FileSystemStorage)
        location = os.path.realpath(storage.location) if is_folder else ""  # type: ignore[attr-defined]
    except Exception as error:
        return [
            Error(
                f"{_ALIAS} cannot be used: {error}",
                hint="Fix it, or remove it to keep uploads in the database until they are saved.",
                id="django_async_forms.E002",
            )
        ]
    if isinstance(storage, DatabaseStorage) and storage.using not in connections.settings:
        return [
            Error(
                f"{_ALIAS} names the database {storage.using!r}, which is not in DATABASES.",
                hint="Name another database, or none to use the database of each instance.",
                id="django_async_forms.E002",
            )
        ]
    if isinstance(storage, InMemoryStorage):
        return [
            Error(
                f"{_ALIAS} keeps files in the memory of one process: no worker would find them.",
                hint="Remove it to use the database, or choose a storage that processes share.",
                id="django_async_forms.E003",
            )
        ]
    return list(_check_folder(storage, location)) if location else []


def _check_folder(storage: Storage, location: str) -> Iterator[CheckMessage]:
    for setting, public in _public_folders():
        if _is_inside(location, os.path.realpath(public)):
            yield Error(
                f"{_ALIAS} is inside {setting} ({location}): "
                "anyone could download unsaved uploads.",
                hint="Choose a private location.",
                id="django_async_forms.E004",
            )
    existing = location
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    if not os.path.isdir(existing) or not os.access(existing, os.W_OK | os.X_OK):
        yield Error(
            f"{_ALIAS} is at {location}, where this process may not write.",
            hint="Choose a folder that the web and worker processes can write to.",
            id="django_async_forms.E005",
        )
    elif isinstance(storage, StagingFileSystemStorage) and existing == location:
        mode = stat.S_IMODE(os.stat(location).st_mode)
        if mode & 0o077:
            yield Warning(
                f"{_ALIAS} is at {location}, which other users of the machine may enter "
                f"(mode {mode:04o}).",
                hint=f"Run: chmod 0700 {location}",
                id="django_async_forms.W006",
            )


def _public_folders() -> Iterator[tuple[str, str]]:
    for setting in ("MEDIA_ROOT", "STATIC_ROOT"):
        if folder := getattr(settings, setting, None):
            yield setting, str(folder)
    configured: dict[str, Any] = settings.STORAGES
    for alias, parameters in configured.items():
        # Django refuses parameters and options that are not dicts, when the storage is used.
        options = parameters.get("OPTIONS") if isinstance(parameters, dict) else None
        location = options.get("location") if isinstance(options, dict) else None
        if alias != STAGING and location:
            yield f'STORAGES["{alias}"]', str(location)


def _is_inside(location: str, public: str) -> bool:
    return os.path.commonpath([location, public]) == public
