"""The drafts of a form field: finds those that a form claims, and keeps an image as a draft."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import Error
from django.db.models import FileField
from django.http import HttpRequest
from django.http.request import HttpHeaders
from django.middleware.csrf import get_token

from . import arrival
from .conf import conf
from .draft_file import DraftFile, LostDraft
from .draft_model import Draft
from .draft_sender import Sender, sender_of
from .fields import expected_database
from .grants import FieldPath, Grant, draft_token, purpose_of, read_draft_token
from .images import SHOWN
from .tokens import address_of

logger = logging.getLogger("django_async_forms")


class FieldDrafts:
    """The drafts of one field of one form, which its widget asks for."""

    def __init__(self, form: Any, field: FileField, form_field: forms.FileField) -> None:
        self.form = form
        self.field = field
        self.form_field = form_field
        self._found: dict[str, DraftFile | LostDraft] = {}
        #: The file of the form, and its draft. A page may show the field more than once.
        self._kept: tuple[UploadedFile[bytes] | None, Draft | None] = None, None
        _accept_drafts(form_field)

    @property
    def request(self) -> HttpRequest | None:
        """The request whose sender the drafts belong to."""
        request: HttpRequest | None = self.form.request_of_sender
        return request

    @cached_property
    def _using(self) -> str:
        return expected_database(self.form.instance)

    def _grant(self, sender: Sender) -> Grant:
        return Grant(
            purpose=purpose_of(self.field),
            using=self._using,
            sender=sender.key,
            max_bytes=conf().MAX_BYTES,
            is_hidden=self.field.name in self.form.hide_staged,
            field=FieldPath.of(type(self.form), self.field.name, self.form_field),
        )

    def find(self, token: str) -> DraftFile | LostDraft | None:
        """Return the draft that a submitted form names, or the error to show in its place."""
        if self.request is None:
            return None
        if token not in self._found:
            self._found[token] = self._find(token)
        return self._found[token]

    def _find(self, token: str) -> DraftFile | LostDraft:
        named = read_draft_token(token)
        if named is None:
            return LostDraft(ValidationError(arrival.GONE, code="draft_gone"))
        try:
            return arrival.find(*named, sender_of(self.request), purpose_of(self.field))
        except ValidationError as error:
            return LostDraft(error)

    def note_gone(self) -> bool:
        """Note which drafts another form has used up meanwhile; tell whether there is one."""
        gone = [
            token
            for token, file in self._found.items()
            if isinstance(file, DraftFile) and not file.draft.row().exists()
        ]
        for token in gone:
            self._found[token] = LostDraft(ValidationError(arrival.GONE, code="draft_gone"))
        return bool(gone)

    def context(self) -> dict[str, Any]:
        """Return the variables for the widget's template: where drafts go, and one to claim."""
        url, file = address_of("drafts"), self._file_to_keep()
        # A page that needs no session makes none.
        sender = sender_of(self.request, create=bool(url or file))
        if sender is None or not (url or file):
            return {"draft": None}
        grant = self._grant(sender)
        if file is not self._kept[0]:
            self._kept = file, None if file is None else self._keep(grant, sender, file)
        draft = self._kept[1]
        return {
            "grant": grant.dumps() if url else "",
            "drafts_url": url,
            "csrf_header": HttpHeaders.parse_header_name(settings.CSRF_HEADER_NAME),
            # The form may have none: htmx sends it in a header, for example.
            "csrf_token": get_token(self.request) if url and self.request else "",
            "takes_parts": arrival.takes_parts(self._using),
            "draft": None if draft is None else _shown(draft),
        }

    def _file_to_keep(self) -> UploadedFile[bytes] | None:
        """Return the file of a form that is shown again, if its field accepts it."""
        is_shown_again = self.form.is_bound and not self.form.has_saved(self.field)
        if not is_shown_again or self.form_field.disabled or self.field.name in self.form.errors:
            return None
        value = self.form[self.field.name].data
        return value if isinstance(value, UploadedFile) else None

    def _keep(self, grant: Grant, sender: Sender, file: UploadedFile[bytes]) -> Draft | None:
        try:
            if not isinstance(file, DraftFile):
                return arrival.keep(grant, sender, file, self.form_field)
            return file.draft if file.draft.keep() else None
        except (ValidationError, OSError, ValueError, Error) as error:
            # The page is shown as a plain form's: the person chooses the image again.
            logger.warning("The image for %s is not kept: %r", self.field, error)
            return None


def _accept_drafts(form_field: forms.FileField) -> None:
    """
    Make a form field accept a draft that it has validated when it arrived.

    Django's ``ImageField`` would read all of a PNG or WebP once more. The field's validators and
    the form's own methods still run.
    """
    to_python = form_field.to_python

    def accept(data: Any) -> Any:
        if isinstance(data, LostDraft):
            raise data.error
        if isinstance(data, DraftFile) and data.is_accepted_by(form_field):
            return forms.FileField.to_python(form_field, data)
        return to_python(data)

    form_field.to_python = accept  # type: ignore[method-assign]


def _shown(draft: Draft) -> dict[str, Any]:
    token = draft_token(draft.pk, draft.using)
    is_seen = conf().SHOW_STAGED and not draft.is_hidden and draft.format in SHOWN
    return {
        "token": token,
        "name": draft.name,
        "size": draft.size,
        "url": address_of("draft", token) if is_seen else "",
        "width": draft.width,
        "height": draft.height,
    }
