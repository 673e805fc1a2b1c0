"""Gives a staged file to a browser, which must not trust its content."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import PurePath
from typing import Any, Protocol

from asgiref.sync import sync_to_async
from django.core.files.base import File
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.http import content_disposition_header

from .images import SHOWN, find_format
from .models import printable

#: Bytes in a piece of the response.
PIECE = 64 * 1024
#: The longest name that a browser is told.
MAX_NAME = 100


class Staged(Protocol):
    """An upload or a draft."""

    name: str

    def open_staged(self) -> File[Any]:
        """Open the staged bytes for reading."""


class NotShownError(Exception):
    """Browsers show no file of this kind."""


def staged_response(
    staged: Staged, request: HttpRequest, *, images_only: bool = False
) -> StreamingHttpResponse:
    """
    Stream a staged file: as an image if it is one, otherwise to be downloaded.

    Pillow detects the format. Raises what the staging storage raises, and
    ``NotShownError`` for a file that is not an image where only images are asked for.
    """
    file = staged.open_staged()
    try:
        shown = SHOWN.get(find_format(file))
        file.seek(0)
        if images_only and shown is None:
            raise NotShownError
        size = file.size
    except BaseException:
        file.close()
        raise
    content_type, extension = shown or ("application/octet-stream", None)
    is_async = not hasattr(request, "environ")
    pieces = _AsyncPieces(file) if is_async else _Pieces(file)
    response = StreamingHttpResponse(pieces, content_type=content_type)
    response["Content-Length"] = str(size)
    name = safe_name(staged.name, extension)
    response["Content-Disposition"] = content_disposition_header(shown is None, name) or "inline"
    # An address of its own, so nothing in the file runs on behalf of the site.
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
    return response


def safe_name(name: str, extension: str | None = None) -> str:
    """Return a file name for the browser, with the extension that the content has."""
    path = PurePath(re.sub(r"[^\w.()+ -]", "_", printable(name.replace("\\", "/").split("/")[-1])))
    suffix = f".{extension}" if extension else path.suffix[:20]
    return f"{path.stem.strip('. ')[:MAX_NAME] or 'file'}{suffix}"


class _Pieces:
    """A file in pieces. The response closes it."""

    def __init__(self, file: File[Any]) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        while piece := self._file.read(PIECE):
            yield piece

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _AsyncPieces:
    """The same under ASGI, where Django would read all of a plain iterator first."""

    def __init__(self, file: File[Any]) -> None:
        self._file = file

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = sync_to_async(self._file.read)
        while piece := await read(PIECE):
            yield piece

    def close(self) -> None:
        """Close the file."""
        self._file.close()
