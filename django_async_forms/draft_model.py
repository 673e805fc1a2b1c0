"""The table of drafts: staged files that no form has claimed yet."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.files.base import File
from django.db import DEFAULT_DB_ALIAS, models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from . import statements
from .columns import BinaryCollationCharField, BinaryCollationTextField
from .conf import conf
from .fields import outbox_name
from .storage import is_transactional, remove_staged, staging_storage


class DraftGoneError(Exception):
    """Another form has claimed the draft, or it has expired."""


def staged_name(key: uuid.UUID, using: str) -> str:
    """
    Return the name in the staging storage of the file with this id.

    It is made from the id, never from what the client says. Recovery looks for abandoned files in
    the folder of the outbox. The folders of two digits in it stay small enough to be listed.
    """
    return f"{outbox_name(using)}/{key.hex[:2]}/{key.hex}"


def expiry() -> datetime:
    """Return the time when a draft that is made or kept now expires."""
    return timezone.now() + timedelta(seconds=conf().KEEP_DRAFTS)


class DraftQuerySet(models.QuerySet["Draft"]):
    """The drafts of one database."""

    def current(self) -> DraftQuerySet:
        """Return the drafts that can still be claimed."""
        return self.filter(expires_at__gt=timezone.now())

    def expired(self) -> DraftQuerySet:
        """Return the drafts that recovery removes, oldest first."""
        return self.filter(expires_at__lte=timezone.now()).order_by("expires_at")

    def find(self, key: uuid.UUID) -> Draft | None:
        """Return a draft that can still be claimed, or None. An open transaction locks it."""
        found: Any = statements.find(Draft, self.db, {"id": key})
        return found if found is not None and found.is_current else None

    def discard(self) -> int:
        """Delete these drafts with their bytes, and return how many."""
        return sum(draft.discard() for draft in self)


class Draft(models.Model):
    """
    A staged file that a form of its sender may claim until it expires.

    Claiming deletes the row, in the transaction that inserts the upload. The upload has the same id
    and the same staged bytes.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    #: The form field that may claim it: ``app.model.field``, or a name that the project gives.
    purpose = models.CharField(max_length=302)
    #: The parts of the ``FieldPath`` of that form field.
    field = models.JSONField(default=list)
    #: The digest of the secret in the sender's session, and the primary key of the user, if any.
    sender = models.CharField(max_length=64)
    user = BinaryCollationCharField(max_length=255, blank=True)
    name = BinaryCollationTextField()
    content_type = BinaryCollationTextField(blank=True)
    size = models.BigIntegerField()
    received = models.BigIntegerField(default=0)
    staged = models.CharField(max_length=255)
    #: Whether the form field has accepted the file. Until then, the facts below are not known.
    is_checked = models.BooleanField(default=False)
    #: Whether Django's own ``ImageField`` has verified it.
    is_image = models.BooleanField(default=False)
    #: Whether the file is shown to nobody, its sender included, before a worker has saved it.
    is_hidden = models.BooleanField(default=False)
    format = models.CharField(max_length=32, blank=True)
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    sha256 = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(default=expiry)

    objects = DraftQuerySet.as_manager()

    class Meta:
        verbose_name = _("draft")
        verbose_name_plural = _("drafts")
        indexes = [
            # With the size, so that an index-only scan counts the bytes of a sender.
            models.Index(fields=["sender", "size"], name="async_forms_draft_sender"),
            models.Index(fields=["expires_at"], name="async_forms_draft_expires"),
        ]

    def __str__(self) -> str:
        return f"{self.pk} for {self.purpose}"

    @property
    def using(self) -> str:
        """The alias of the database that the row is in."""
        return self._state.db or DEFAULT_DB_ALIAS

    @property
    def is_complete(self) -> bool:
        """Whether all bytes have been received."""
        return self.received == self.size

    @property
    def is_current(self) -> bool:
        """Whether the draft has not expired, as far as this instance knows."""
        return self.expires_at > timezone.now()

    @property
    def file_class(self) -> str:
        """The class that Django's upload handlers would have chosen for a file of this size."""
        is_small = self.size <= settings.FILE_UPLOAD_MAX_MEMORY_SIZE
        return "InMemoryUploadedFile" if is_small else "TemporaryUploadedFile"

    def row(self) -> DraftQuerySet:
        """Return a query for the row of this draft. It finds nothing once the draft is claimed."""
        return Draft.objects.using(self.using).filter(pk=self.pk)

    def open_staged(self) -> File[Any]:
        """Open the staged bytes for reading. Raises what the staging storage raises."""
        return staging_storage(self.using).open(self.staged)

    def claim(self) -> None:
        """
        Delete the row in the open transaction, and keep the bytes for the upload.

        If two forms claim one draft, only one of them deletes the row. For the other one, this
        raises ``DraftGoneError``.
        """
        if not (self.is_current and statements.delete(Draft, self.using, {"id": self.pk})):
            raise DraftGoneError(f"Draft {self.pk} was claimed by another form, or has expired.")

    def remove_staged(self) -> None:
        """Remove the bytes of a claimed draft, which no upload takes over."""
        remove_staged(self.staged, self.using)

    def discard(self) -> bool:
        """Delete the draft and its bytes, unless it was claimed or kept longer meanwhile."""
        with self._atomic():
            if not self.row().filter(expires_at=self.expires_at)._raw_delete(self.using):
                return False
            self.remove_staged()
        return True

    def keep(self) -> bool:
        """Renew the expiry, and tell whether the draft is still there."""
        self.expires_at = expiry()
        return bool(self.row().update(expires_at=self.expires_at))

    def _atomic(self) -> AbstractContextManager[None]:
        shares_transaction = is_transactional(staging_storage(self.using), self.using)
        return (
            transaction.atomic(self.using, savepoint=False) if shares_transaction else nullcontext()
        )


@contextmanager
def using_up(drafts: Iterable[Draft]) -> Iterator[None]:
    """Claim drafts before a write, which stores their images, and remove their bytes after it."""
    drafts = list(drafts)
    for draft in drafts:
        draft.claim()
    yield
    for draft in drafts:
        draft.remove_staged()
