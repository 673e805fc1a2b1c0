"""Reads the headers of a tus request, and refuses requests."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest, HttpResponse

#: The one version of the protocol.
VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,termination,checksum"
#: The content type of a body with bytes of a draft.
OFFSET_STREAM = "application/offset+octet-stream"
CHECKSUMS = ("sha1", "sha256")


@dataclass
class RefusedError(Exception):
    """A request that is answered with an error, in plain text."""

    status: int
    text: str
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> HttpResponse:
        """Return the answer as plain text, so that no browser takes it for a page."""
        return HttpResponse(
            self.text,
            status=self.status,
            # Python knows no reason for 460, which only tus uses.
            reason="Checksum Mismatch" if self.status == 460 else None,
            content_type="text/plain; charset=utf-8",
            headers={"X-Content-Type-Options": "nosniff", **self.headers},
        )


def check_version(request: HttpRequest) -> None:
    """Refuse another version of the protocol. Raises ``RefusedError``."""
    if request.headers.get("Tus-Resumable") != VERSION:
        raise RefusedError(412, f"Set Tus-Resumable to {VERSION}.", {"Tus-Version": VERSION})


def read_number(request: HttpRequest, header: str) -> int:
    """Return a number of bytes. Raises ``RefusedError``."""
    text = request.headers.get(header, "")
    # int() alone would accept "+1" and "1_0" too. A number with more digits fits into no column.
    if not re.fullmatch("[0-9]{1,18}", text):
        raise RefusedError(400, f"Set {header} to a number of bytes.")
    return int(text)


def read_length(request: HttpRequest) -> int:
    """
    Return how many bytes the body has. Raises ``RefusedError``.

    A body of unknown length would be read as an empty one under WSGI.
    """
    if not request.headers.get("Content-Length"):
        raise RefusedError(411, "Set Content-Length.")
    return read_number(request, "Content-Length")


def check_content_type(request: HttpRequest) -> None:
    """Refuse a body that is not part of a file. Raises ``RefusedError``."""
    if request.content_type != OFFSET_STREAM:
        raise RefusedError(415, f"Set Content-Type to {OFFSET_STREAM}.")


def read_metadata(request: HttpRequest) -> dict[str, str]:
    """Return the client's metadata about the file. Raises ``RefusedError``."""
    found = {}
    for pair in request.headers.get("Upload-Metadata", "").split(","):
        key, _, value = pair.strip().partition(" ")
        found[key] = _decode(value, "Upload-Metadata").decode(errors="replace")
    return found


def write_metadata(**values: str) -> str:
    """Return metadata as the client has sent it."""
    pairs = (f"{key} {base64.b64encode(text.encode()).decode()}" for key, text in values.items())
    return ",".join(pairs)


def _decode(text: str, header: str) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError(400, f"The Base64 in {header} is invalid.") from None


@dataclass(frozen=True)
class Checksum:
    """The checksum of a body, as the client has computed it."""

    algorithm: str
    digest: bytes

    @classmethod
    def read(cls, request: HttpRequest) -> Checksum | None:
        """Return the checksum of a request that has one. Raises ``RefusedError``."""
        text = request.headers.get("Upload-Checksum")
        if text is None:
            return None
        algorithm, _, value = text.strip().partition(" ")
        if algorithm not in CHECKSUMS:
            raise RefusedError(400, f"Choose one of these checksums: {', '.join(CHECKSUMS)}.")
        return cls(algorithm, _decode(value, "Upload-Checksum"))

    def new(self) -> Any:
        """Return a hash to update with the bytes of the body."""
        return hashlib.new(self.algorithm, usedforsecurity=False)

    def verify(self, found: Any) -> None:
        """Refuse bytes that have another checksum. Raises ``RefusedError``."""
        if found.digest() != self.digest:
            raise RefusedError(460, "The checksum does not match.")
