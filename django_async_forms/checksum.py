"""The SHA-256 of staged bytes: taken before they are staged, compared before they are stored."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from django.core.files.base import File

from .conf import conf


def sha256_of(file: File[Any]) -> str:
    """
    Return the SHA-256 of a file in hexadecimal, and rewind the file.

    Return "" with ``CHECKSUM`` off, and for a stream that can be read once only.
    """
    if not conf().CHECKSUM:
        return ""
    try:
        file.seek(0)
    except (AttributeError, OSError):
        return ""
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk.encode() if isinstance(chunk, str) else chunk)
    file.seek(0)
    return digest.hexdigest()


def note_sha256(file: Any, sha256: str) -> None:
    """Note the SHA-256 of a temporary file that was taken while the file arrived."""
    file.sha256_on_arrival = sha256, _last_change(file)


def noted_sha256(file: Any, content: File[Any]) -> str:
    """Return the noted SHA-256 of a file, or "" if ``content`` has been written to since then."""
    sha256, change = getattr(file, "sha256_on_arrival", ("", None))
    return sha256 if sha256 and _last_change(content) == change else ""


def _last_change(file: Any) -> tuple[int, ...]:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
