"""Drafts without the form mixin: for plain forms, JSON clients and views of a project's own."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import router
from django.http import HttpRequest

from . import arrival
from .conf import conf
from .draft_file import DraftFile
from .draft_model import Draft, DraftGoneError
from .draft_sender import sender_of
from .grants import FieldPath, Grant, read_draft_token

__all__ = ["DraftFile", "DraftGoneError", "claimable", "make_grant"]


def claimable(request: HttpRequest, token: str, purpose: str | None = None) -> DraftFile:
    """
    Return a draft that the sender of this request may claim, as an ``UploadedFile``.

    ::

        image = claimable(request, json.loads(request.body)["image"])
        save_image(image, photo)

    The page has the ``token`` from the draft's address, or from the form's hidden input.
    ``purpose`` is the purpose of its grant, such as ``"shop.photo.image"``; without it, a draft of
    any purpose is returned. The file is validated already, and opened when something reads from
    it. ``save_image()``, or a form or serializer that saves the file, claims the draft. Its bytes
    stay where they are.

    Raises ``ValidationError`` for a draft that is unknown, expired, claimed, incomplete, refused,
    or sent by somebody else.
    """
    named = read_draft_token(token)
    if named is None:
        raise ValidationError(arrival.GONE, code="draft_gone")
    found = arrival.find(*named, sender_of(request), purpose)
    arrival.check(found.draft)
    return DraftFile(found.draft)


def make_grant(
    request: HttpRequest,
    purpose: str,
    *,
    form_field: type[forms.FileField] = forms.ImageField,
    max_bytes: int | None = None,
    using: str | None = None,
    is_hidden: bool = False,
) -> str:
    """
    Return a grant with which the sender of this request may send drafts for ``purpose``.

    ``purpose`` is a name of the project's, such as ``"avatar"``, or a model's field, such as
    ``"shop.photo.image"``. ``form_field`` validates the file. ``max_bytes`` defaults to
    ``ASYNC_FORMS["MAX_BYTES"]``, and ``using`` to the database that drafts are written to.
    With ``is_hidden``, nobody is shown the file before a worker has saved it.

    The grant is valid for ``ASYNC_FORMS["KEEP_DRAFTS"]``. Raises ``ValueError`` for a request
    without a session, because a draft belongs to one.
    """
    sender = sender_of(request, create=True)
    if sender is None:
        raise ValueError(
            "make_grant() got a request without a session. Add SessionMiddleware to MIDDLEWARE."
        )
    limit: Any = max_bytes if max_bytes is not None else conf().MAX_BYTES
    field = FieldPath("", "", f"{form_field.__module__}.{form_field.__qualname__}")
    database = using or router.db_for_write(Draft)
    return Grant(purpose, database, sender.key, limit, is_hidden, field).dumps()
