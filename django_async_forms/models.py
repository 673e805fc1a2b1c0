"""The journal of images that are owed, and the rows of ``DatabaseStorage``."""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ObjectDoesNotExist
from django.core.files.base import File
from django.db import DEFAULT_DB_ALIAS, models, router, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .conf import conf
from .fields import file_field, file_fields, key_from_text, labels_sharing
from .storage import is_transactional, staging_storage

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    _CharField = models.CharField[str, str]
else:
    _CharField = models.CharField

logger = logging.getLogger("django_async_forms")


def printable(text: str) -> str:
    """Show marks and control characters as escapes: none gives orders to a page or a terminal."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class BinaryCollationCharField(_CharField):
    """Text that is compared byte by byte on MySQL too, whose default ignores case."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        column = super().db_type(connection)
        if connection.vendor == "mysql":
            # The plain utf8mb4_bin takes no notice of spaces at the end.
            is_mariadb = connection.mysql_is_mariadb  # type: ignore[attr-defined]
            collation = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
            return f"{column} CHARACTER SET utf8mb4 COLLATE {collation}"
        return column


class UploadQuerySet(models.QuerySet["Upload"]):
    """What is owed, and to whom."""

    def for_instance(self, instance: models.Model, field_name: str | None = None) -> UploadQuerySet:
        """
        Return the uploads owed to ``instance``, for one field of it or for all.

        They are looked for in the database that the instance is written to. A child of multi-table
        inheritance, a proxy and its parent share what is owed to a column that they share.

        Raises ``FieldDoesNotExist`` if ``field_name`` is no file field of the instance.
        """
        fields = [file_field(type(instance), field_name)] if field_name else file_fields(instance)
        wanted = models.Q(pk__in=[])
        for owner in {field.model for field in fields}:
            names = [field.name for field in fields if field.model is owner]
            wanted |= models.Q(
                object_pk=owner._meta.pk.value_to_string(instance),
                model__in=labels_sharing(owner),
                field_name__in=names,
            )
        chosen: str | None = self._db  # type: ignore[attr-defined]
        using = chosen or router.db_for_write(type(instance), instance=instance)
        return self.using(using).filter(wanted)

    def pending(self) -> UploadQuerySet:
        """Return the uploads that a worker is to save."""
        return self.filter(state=Upload.State.PENDING)

    def failed(self) -> UploadQuerySet:
        """Return the uploads that wait for an operator, because every attempt has failed."""
        return self.filter(state=Upload.State.FAILED)

    def due(self) -> UploadQuerySet:
        """Return what ``recover_uploads`` has to look at by now, the longest overdue first."""
        return self.filter(due_at__lte=timezone.now()).order_by("due_at")

    def start(self, upload_id: uuid.UUID) -> Upload | None:
        """Count one more attempt at a pending upload and return it, or None if it is not owed."""
        # The write comes first: on SQLite, a transaction that reads first may be refused the write.
        owed = self.pending().filter(pk=upload_id)
        due_at = timezone.now() + timedelta(seconds=conf().RESEND_AFTER)
        if not owed.update(attempts=models.F("attempts") + 1, due_at=due_at):
            return None
        return owed.first()

    def discard(self) -> int:
        """Delete these uploads and their staged bytes, and return how many: nothing is owed."""
        count = 0
        for upload in list(self):
            with transaction.atomic(using=upload.using):
                # With this query's own conditions: an operator may have retried a failed one since.
                deleted, _rows = self.using(upload.using).filter(pk=upload.pk).delete()
                if not deleted:
                    continue
                upload.remove_staged()
            logger.info("Upload %s: discarded.", upload.pk)
            count += 1
        return count


class Upload(models.Model):
    """
    An image that is owed to an instance.

    The row exists exactly as long as the image is owed: once it is saved, superseded, cleared or
    its instance is gone, there is no row. It lies in the database of the instance.
    """

    class State(models.TextChoices):
        PENDING = "pending", _("pending")
        FAILED = "failed", _("failed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.CharField(_("model"), max_length=201)
    object_pk = BinaryCollationCharField(_("primary key"), max_length=255)
    field_name = models.CharField(_("field"), max_length=100)
    name = models.TextField(_("file name"))
    file = models.JSONField(_("file"))
    width = models.PositiveIntegerField(_("width"), null=True)
    height = models.PositiveIntegerField(_("height"), null=True)
    staged = models.CharField(_("staged as"), max_length=255)
    state = models.CharField(_("state"), max_length=7, choices=State.choices, default=State.PENDING)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    error = models.TextField(_("last error"), blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    sent_at = models.DateTimeField(_("last sent"), default=timezone.now)
    #: When recover_uploads looks at it next: to send it again, or, once failed, to purge it.
    due_at = models.DateTimeField(_("due"))

    objects = UploadQuerySet.as_manager()

    class Meta:
        verbose_name = _("upload")
        verbose_name_plural = _("uploads")
        indexes = [
            models.Index(fields=["object_pk", "model", "field_name"], name="async_forms_target"),
            models.Index(fields=["state", "due_at"], name="async_forms_due"),
        ]

    def __str__(self) -> str:
        return f"{printable(self.name)} → {self.model} {self.object_pk}, {self.field_name}"

    @property
    def using(self) -> str:
        """The alias of the database that the row and its instance are in."""
        return self._state.db or DEFAULT_DB_ALIAS

    def get_model(self) -> type[models.Model]:
        """Return the instance's class. Raises ``LookupError`` if the project has it no more."""
        return apps.get_model(self.model)

    def get_field(self) -> models.FileField:
        """Return the instance's field. Raises ``FieldDoesNotExist`` if the model has it no more."""
        return file_field(self.get_model(), self.field_name)

    def get_instance(self) -> models.Model:
        """Load the instance from its database. Raises its class's ``DoesNotExist``."""
        owner = self.get_field().model
        key = {owner._meta.pk.name: key_from_text(owner, self.object_pk)}
        try:
            return self.get_model()._base_manager.using(self.using).get(**key)
        except ObjectDoesNotExist:
            # A child may go without its parent, to which the image is owed then.
            return owner._base_manager.using(self.using).get(**key)

    def open_staged(self) -> File[Any]:
        """Open the staged bytes for reading. Raises what the staging storage raises."""
        return staging_storage(self.using).open(self.staged)

    def remove_staged(self) -> None:
        """Remove the staged bytes, at once where a rollback brings them back, else on commit."""
        storage = staging_storage(self.using)
        if is_transactional(storage, self.using):
            storage.delete(self.staged)
        else:
            remove = partial(storage.delete, self.staged)
            transaction.on_commit(remove, using=self.using, robust=True)


class StoredChunk(models.Model):
    """A piece of a file in ``DatabaseStorage``. A file is what has its name, in order."""

    name = BinaryCollationCharField(max_length=255)
    position = models.BigIntegerField()
    data = models.BinaryField()
    saved_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "position"], name="async_forms_chunk")
        ]

    def __str__(self) -> str:
        return f"{self.name} from {self.position}"
