"""How the body of a tus request becomes bytes of its draft."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.http import HttpRequest, UnreadablePostError

from . import arrival
from .draft_model import Draft
from .tus_headers import Checksum, RefusedError

logger = logging.getLogger("django_async_forms")


def receive(request: HttpRequest, draft: Draft, length: int, checksum: Checksum | None) -> None:
    """Add a body of ``length`` bytes to a draft, and check it if it is complete."""
    takes_parts = arrival.takes_parts(draft.using)
    try:
        if not draft.size:
            # A part makes the staged file, but an empty file has no part. So make the file here.
            _check_taken(arrival.fill(draft, ContentFile(b"")), draft)
        elif takes_parts and checksum is None:
            _append(draft, _parts(request, draft, length))
        elif length:
            if not takes_parts and length != draft.size:
                raise RefusedError(400, "The staging storage takes a file in one request only.")
            with _spooled(request, draft, length, checksum) as content:
                if takes_parts:
                    _append(draft, content.chunks(arrival.PART))
                else:
                    _check_taken(arrival.fill(draft, content), draft)
    except FileNotFoundError as error:
        logger.warning("Draft %s: its bytes are gone: %r", draft.pk, error)
        draft.discard()
        raise gone() from error
    check_complete(draft)


def _append(draft: Draft, parts: Iterator[bytes]) -> None:
    # A part is read before append() locks the row.
    for part in parts:
        _check_taken(arrival.append(draft, draft.received, part), draft)


def _parts(request: HttpRequest, draft: Draft, length: int) -> Iterator[bytes]:
    """Yield the body in parts, and then refuse one that is shorter than announced."""
    while length:
        part = b""
        try:
            part = request.read(min(arrival.PART, length))
        except UnreadablePostError as error:
            logger.debug("Draft %s: %r", draft.pk, error)
        if not part:
            # The connection was cut. Under WSGI, that raises no error. Usually, nobody reads this.
            logger.info("Draft %s: cut off, %d bytes short.", draft.pk, length)
            raise RefusedError(
                400, "The body is shorter than its Content-Length.", offset_header(draft)
            )
        length -= len(part)
        yield part


def _spooled(
    request: HttpRequest, draft: Draft, length: int, checksum: Checksum | None
) -> TemporaryUploadedFile:
    """Return a body in a temporary file, complete and verified. The caller closes it."""
    # Its name would become part of the path.
    content = TemporaryUploadedFile("draft", draft.content_type, length, None, {})
    try:
        found = None if checksum is None else checksum.new()
        for part in _parts(request, draft, length):
            content.write(part)
            if found is not None:
                found.update(part)
        if checksum is not None:
            checksum.verify(found)
        content.flush()
        content.seek(0)
    except BaseException:
        content.close()
        raise
    return content


def check_end(end: int, size: int) -> None:
    if end > size:
        raise RefusedError(413, "The body has more bytes than Upload-Length has announced.")


def check_complete(draft: Draft) -> None:
    """Have the form field check a draft whose bytes have all come."""
    if not draft.is_complete:
        return
    try:
        arrival.check(draft)
    except ValidationError as error:
        raise RefusedError(422, words(error)) from error
    except FileNotFoundError as error:
        # Meanwhile, another request has refused the draft, or a form has claimed it.
        logger.warning("Draft %s: its bytes are gone: %r", draft.pk, error)
        draft.discard()
        raise gone() from error


def _check_taken(is_taken: bool, draft: Draft) -> None:
    """Refuse bytes that the draft has not taken. Raises ``RefusedError``."""
    if not is_taken:
        raise conflict(draft)


def conflict(draft: Draft) -> RefusedError:
    return RefusedError(
        409, "Upload-Offset is not where the next byte belongs.", offset_header(draft)
    )


def gone() -> RefusedError:
    return RefusedError(404, "There is no such draft.")


def words(error: ValidationError) -> str:
    return "\n".join(error.messages)


def offset_header(draft: Draft) -> dict[str, str]:
    return {"Upload-Offset": str(draft.received)}
