"""Makes drafts: inserts their rows, writes their bytes, and validates them with the form field."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from .checksum import sha256_of
from .codec import reconstruct
from .draft_file import DraftFile
from .draft_limits import check_drafts
from .draft_model import Draft, expiry, staged_name
from .draft_sender import Sender
from .grants import FieldPath, Grant, model_field_of
from .images import dimensions, open_image
from .limits import check_backlog, check_limits, check_size
from .staging import save_new, storable
from .storage import staging_storage

logger = logging.getLogger("django_async_forms")

#: How many bytes one transaction writes.
PART = 256 * 1024


def takes_parts(using: str) -> bool:
    """Tell whether the staging storage can take a file in parts, so that a sender can resume."""
    return hasattr(staging_storage(using), "write_at")


def create(grant: Grant, sender: Sender, *, name: str, content_type: str, size: int) -> Draft:
    """
    Make a draft without bytes, which arrive by ``append()`` or ``fill()``.

    Raises ``ValidationError`` if the file is too large, or if there are too many drafts or uploads.
    """
    check_size(size, grant.max_bytes)
    check_backlog(grant.using)
    check_drafts(grant.using, sender.key, size)
    draft = _new(grant, sender, name, content_type, size)
    draft.save(using=grant.using, force_insert=True)
    logger.info("Draft %s: begun for %s.", draft.pk, draft.purpose)
    return draft


def _new(grant: Grant, sender: Sender, name: str, content_type: str, size: int) -> Draft:
    key = uuid.uuid4()
    field = grant.field
    return Draft(
        id=key,
        purpose=grant.purpose,
        field=[field.form, field.name, field.field_class],
        sender=sender.key,
        user=sender.user,
        # Django's class removes folders from the name.
        name=str(UploadedFile(name=storable(name) or "file").name),
        content_type=storable(content_type),
        size=size,
        staged=staged_name(key, grant.using),
        is_hidden=grant.is_hidden,
    )


def append(draft: Draft, offset: int, data: bytes) -> bool:
    """
    Write the next bytes of a draft, from ``offset`` on; return False if it does not take them.

    The bytes and the new offset commit together, and the draft is kept as long as a new one. Raises
    the exceptions of the staging storage.
    """
    end, expires_at = offset + len(data), expiry()
    with transaction.atomic(using=draft.using):
        # Compare and swap, which locks the row. If two requests send one part, one writes it.
        current = draft.row().current().filter(received=offset, size__gte=end)
        if not current.update(received=end, expires_at=expires_at):
            return False
        storage: Any = staging_storage(draft.using)
        storage.write_at(draft.staged, offset, ContentFile(data))
    draft.received, draft.expires_at = end, expires_at
    return True


def fill(draft: Draft, content: File[Any]) -> bool:
    """Write all bytes of a draft at once; return False if it has bytes already."""
    storage, expires_at = staging_storage(draft.using), expiry()
    with transaction.atomic(using=draft.using):
        current = draft.row().current().filter(received=0)
        if not current.update(received=draft.size, expires_at=expires_at):
            return False
        _save(storage, draft, content)
    draft.received, draft.expires_at = draft.size, expires_at
    return True


def _save(storage: Storage, draft: Draft, content: File[Any]) -> None:
    staged = save_new(storage, draft.staged, content)
    if staged != draft.staged:
        draft.staged = staged
        draft.row().update(staged=staged)


def check(draft: Draft) -> None:
    """
    Validate a complete draft with its form field, and note the facts about its file.

    Does nothing for a draft that was validated before. Raises ``ValidationError`` if the field
    refuses the file. The draft is discarded then.
    """
    if draft.is_checked:
        return
    model_field = model_field_of(draft.purpose)
    with (
        draft.open_staged() as content,
        reconstruct(DraftFile(draft).describe(), content) as uploaded,
    ):
        try:
            form_field = FieldPath(*draft.field).get_form_field(model_field)
            accepted = form_field.clean(uploaded, None)
            check_limits(model_field, accepted)
            facts = _facts(form_field, accepted, uploaded)
        except ValidationError:
            draft.discard()
            logger.info("Draft %s: refused.", draft.pk)
            raise
    _note(draft, facts)


def _facts(form_field: Any, accepted: Any, uploaded: File[Any]) -> dict[str, Any]:
    """Return the facts about a file that its form field has accepted, as values of a draft."""
    is_image = type(form_field).to_python is forms.ImageField.to_python
    image = open_image(accepted)
    width, height = dimensions(accepted)
    return {
        "is_checked": True,
        "is_image": is_image,
        "content_type": getattr(accepted, "content_type", "") or "",
        "format": (image.format or "") if image is not None else "",
        "width": width,
        "height": height,
        "sha256": sha256_of(uploaded),
    }


def _note(draft: Draft, facts: dict[str, Any]) -> None:
    for name, value in facts.items():
        setattr(draft, name, value)
    draft.row().update(**facts)
    logger.info("Draft %s: complete.", draft.pk)


def keep(grant: Grant, sender: Sender, uploaded: UploadedFile[bytes], form_field: Any) -> Draft:
    """
    Make a draft of a file that came with a form, and that its form field has accepted.

    Raises ``ValidationError`` if there are too many drafts, and the exceptions of the staging
    storage.
    """
    size = uploaded.size or 0
    check_drafts(grant.using, sender.key, size)
    draft = _new(grant, sender, str(uploaded.name), str(uploaded.content_type or ""), size)
    draft.received = size
    for name, value in _facts(form_field, uploaded, uploaded).items():
        setattr(draft, name, value)
    uploaded.seek(0)
    with transaction.atomic(using=grant.using):
        draft.save(using=grant.using, force_insert=True)
        _save(staging_storage(grant.using), draft, uploaded)
    logger.info("Draft %s: kept for %s.", draft.pk, draft.purpose)
    return draft


GONE = _("The image that you sent is no longer there. Choose it again.")
INCOMPLETE = _("This image was not sent completely. Choose it again.")


def sent_by(sender: Sender | None, key: uuid.UUID, using: str) -> Draft | None:
    """Return a draft of this sender, complete or not, that has not expired."""
    return _if_sent_by(sender, Draft.objects.using(using).current().filter(pk=key).first())


def _if_sent_by(sender: Sender | None, draft: Draft | None) -> Draft | None:
    return draft if draft and sender and sender.has_sent(draft) else None


def find(key: uuid.UUID, using: str, sender: Sender | None, purpose: str | None) -> DraftFile:
    """
    Return a draft that its sender may claim for ``purpose``, as an uploaded file.

    ``None`` stands for any purpose. In a transaction, such as the admin's, this locks the draft. If
    two forms want it at the same time, the second finds it gone when it is validated. Raises
    ``ValidationError``.
    """
    draft = _if_sent_by(sender, Draft.objects.using(using).find(key))
    if draft is None or purpose not in (None, draft.purpose):
        # One message for all reasons: nobody else learns from a token whether there is a draft.
        raise ValidationError(GONE, code="draft_gone")
    if not draft.is_complete:
        raise ValidationError(INCOMPLETE, code="draft_incomplete")
    return DraftFile(draft)
