"""
The endpoint that a page sends images to before their forms: the tus protocol 1.0.

Its clients, such as tus-js-client, Uppy and tuspy, do what
https://tus.io/protocols/resumable-upload says: ``POST drafts/`` makes a draft and answers with its
address, ``PATCH`` adds bytes to it, ``HEAD`` tells how many have arrived, ``DELETE`` removes it. A
grant in the metadata, which the widget of a form has rendered, says which form field the draft is
for. Only the session that the page was made for may use the grant and the draft.

A body is read in parts, and each part commits with the new offset. So memory stays flat, what came
before a cut is kept, and the database is never locked while a client sends. A checksum is verified
before anything is kept: such a body waits in a temporary file. So does a file for a staging storage
that cannot take parts, which has to come in one request.

When the last byte has come, the form field validates the file, and the answer says why it is
refused.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParser
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.http import http_date
from django.views import View

from . import arrival
from .conf import conf
from .draft_model import Draft
from .draft_sender import sender_of
from .grants import Grant, draft_token, read_draft_token
from .previews import draft_preview
from .tus_body import check_complete, check_end, conflict, gone, offset_header, receive, words
from .tus_headers import (
    CHECKSUMS,
    EXTENSIONS,
    VERSION,
    Checksum,
    RefusedError,
    check_content_type,
    check_version,
    read_length,
    read_metadata,
    read_number,
    write_metadata,
)
from .view_kinds import in_no_transaction

logger = logging.getLogger("django_async_forms")

_CONTENT_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)


class _TusView(View):
    """A view that answers as the protocol says, except with previews. It never redirects."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            if request.method not in ("GET", "OPTIONS"):
                check_version(request)
            response = super().dispatch(request, *args, **kwargs)
        except RefusedError as refused:
            response = refused.response()
        response.headers["Tus-Resumable"] = VERSION
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Tell what the endpoint can do."""
        limits = [n for n in (conf().MAX_BYTES, conf().MAX_DRAFT_BYTES) if n is not None]
        response = super().options(request, *args, **kwargs)
        response["Tus-Version"] = VERSION
        response["Tus-Extension"] = EXTENSIONS
        response["Tus-Checksum-Algorithm"] = ",".join(CHECKSUMS)
        if limits:
            response["Tus-Max-Size"] = str(min(limits))
        return response


class DraftsView(_TusView):
    """Makes drafts."""

    def post(self, request: HttpRequest) -> HttpResponse:
        size = read_number(request, "Upload-Length")
        metadata = read_metadata(request)
        length = 0
        if "Transfer-Encoding" in request.headers or request.headers.get("Content-Length"):
            length = read_length(request)
        if length:
            check_content_type(request)
            check_end(length, size)
        checksum = Checksum.read(request)
        draft = _create(request, metadata, size)
        if length or not size:
            try:
                receive(request, draft, length, checksum)
            except Exception:
                # The client gets no address, so it cannot continue.
                draft.discard()
                raise
        response = _answer(draft, 201)
        address = reverse("django_async_forms:draft", args=[draft_token(draft.pk, draft.using)])
        response["Location"] = address
        return response


class DraftView(_TusView):
    """One draft, for its sender."""

    def get(self, request: HttpRequest, token: str) -> HttpResponseBase:
        """Give the image to the page that shows it."""
        preview = draft_preview(_find(request, token), request)
        if preview is None:
            raise gone()
        return preview

    def head(self, request: HttpRequest, token: str) -> HttpResponse:
        """Tell how many bytes have arrived."""
        draft = _find(request, token)
        # The process that has received the last byte may have ended before it answered.
        check_complete(draft)
        response = _answer(draft, 200)
        response["Upload-Length"] = str(draft.size)
        response["Upload-Metadata"] = write_metadata(
            filename=draft.name, filetype=draft.content_type
        )
        return response

    def patch(self, request: HttpRequest, token: str) -> HttpResponse:
        """Receive the bytes that follow those that have arrived."""
        draft = _find(request, token)
        check_content_type(request)
        length = read_length(request)
        offset = read_number(request, "Upload-Offset")
        checksum = Checksum.read(request)
        if offset != draft.received:
            raise conflict(draft)
        check_end(offset + length, draft.size)
        receive(request, draft, length, checksum)
        return _answer(draft, 204)

    def delete(self, request: HttpRequest, token: str) -> HttpResponse:
        """Remove a draft that its sender does not want any more."""
        draft = _find(request, token)
        if not draft.discard():
            # A part has arrived, or a form has shown or claimed the draft. Clients try again.
            raise RefusedError(423, "The draft has changed meanwhile.")
        logger.info("Draft %s: removed by its sender.", draft.pk)
        return HttpResponse(status=204)


def _create(request: HttpRequest, metadata: dict[str, str], size: int) -> Draft:
    grant = Grant.loads(metadata.get("grant"))
    sender = sender_of(request)
    if grant is None or sender is None or grant.sender != sender.key:
        # The answer does not say which, so that nobody else learns anything from a grant.
        raise RefusedError(403, "The grant is missing, invalid or too old. Reload the page.")
    name = metadata.get("filename") or metadata.get("name") or ""
    content_type = metadata.get("filetype") or metadata.get("type") or ""
    try:
        return arrival.create(
            grant,
            sender,
            # As Django does with the name of a file in a form. The method does not use its parser.
            name=MultiPartParser.sanitize_file_name(None, name) or "",  # type: ignore[arg-type]
            content_type=content_type if _CONTENT_TYPE.fullmatch(content_type) else "",
            size=size,
        )
    except ValidationError as error:
        status = 413 if getattr(error, "code", None) == "too_many_bytes" else 429
        raise RefusedError(status, words(error)) from error


def _find(request: HttpRequest, token: str) -> Draft:
    """Return a draft of the sender of this request. Raises ``RefusedError``."""
    named = read_draft_token(token)
    draft = None if named is None else arrival.sent_by(sender_of(request), *named)
    if draft is None:
        # The answer is the same for an unknown, claimed or expired draft, and for another sender's.
        raise gone()
    return draft


def _answer(draft: Draft, status: int) -> HttpResponse:
    expires = http_date(draft.expires_at.timestamp())
    return HttpResponse(status=status, headers={**offset_header(draft), "Upload-Expires": expires})


# CSRF is as in the rest of the project: POST, PATCH and DELETE need X-CSRFToken. No login is
# required, because a client cannot use a login page. Whoever may see the form may send its image.
# With ATOMIC_REQUESTS, a cut body would roll back, and a slow one hold a transaction.
drafts_view = in_no_transaction(login_not_required(DraftsView.as_view()))
draft_view = in_no_transaction(login_not_required(DraftView.as_view()))
