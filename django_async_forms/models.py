"""The outbox, with a row for each pending or failed image, and the rows of ``DatabaseStorage``."""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.core.exceptions import ObjectDoesNotExist
from django.core.files.base import File
from django.db import DEFAULT_DB_ALIAS, IntegrityError, connections, models, router, transaction
from django.db.models import Q, Value
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from . import isolation, statements
from .columns import BinaryCollationCharField, BinaryCollationTextField
from .conf import conf
from .draft_model import Draft as Draft  # Django finds the models of an app in this module.
from .fields import (
    Target,
    current_values,
    file_field,
    file_fields,
    for_update,
    key_from_text,
    labels_sharing,
    outbox_name,
    rows,
    unwrapped,
)
from .storage import is_transactional, remove_staged, staging_storage

logger = logging.getLogger("django_async_forms")

#: How late recovery, which runs every minute, may be. What has waited longer is overdue.
GRACE = timedelta(minutes=3)


def printable(text: str) -> str:
    """Escape marks and control characters, so that no text controls a page or a terminal."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _holds(column: str, value: str) -> Exact:
    """
    Compare a column of a row that its primary key names, without the index of the column.

    With it, InnoDB locks the index's entry first and the row then. A DELETE of the row locks them
    the other way round, and both deadlock.
    """
    return Exact(Coalesce(column, Value("")), value)


class NotPendingError(Exception):
    """The upload was superseded, discarded, or attached by another worker."""


class UploadQuerySet(models.QuerySet["Upload"]):
    """The uploads of one database."""

    def for_instance(self, instance: models.Model, field_name: str | None = None) -> UploadQuerySet:
        """
        Return the uploads for one field of ``instance``, or for all of its fields.

        They are in the database that the instance is written to. A child of multi-table
        inheritance, a proxy and their parent share the uploads for a column that they share.

        Raises ``FieldDoesNotExist`` if ``field_name`` is not a file field of the instance.
        """
        instance = unwrapped(instance)
        fields = [file_field(type(instance), field_name)] if field_name else file_fields(instance)
        chosen: str | None = self._db  # type: ignore[attr-defined]
        using = chosen or router.db_for_write(type(instance), instance=instance)
        return self.using(using).for_targets({Target.of(instance, field) for field in fields})

    def for_targets(self, targets: Collection[Target]) -> UploadQuerySet:
        """
        Return the uploads for columns of one database.

        For several rows with several image fields, this returns the uploads of each row for each
        of the fields.
        """
        wanted = Q(pk__in=[])
        for owner in {target.model for target in targets}:
            of_owner = [target for target in targets if target.model == owner]
            model: Any = apps.get_model(owner)
            wanted |= Q(
                object_pk__in={target.object_pk for target in of_owner},
                model__in=labels_sharing(model),
                field_name__in={target.field_name for target in of_owner},
            )
        return self.filter(wanted)

    def row(self, key: uuid.UUID, state: str) -> UploadQuerySet:
        """Return the upload with this key, if it is in a state."""
        return self.filter(_holds("state", state), pk=key)

    def pending(self) -> UploadQuerySet:
        """Return the uploads that wait for a worker."""
        return self.filter(state=Upload.State.PENDING)

    def failed(self) -> UploadQuerySet:
        """Return the uploads whose attempts have all failed, which wait for an operator."""
        return self.filter(state=Upload.State.FAILED)

    def due(self) -> UploadQuerySet:
        """Return the uploads that ``recover_uploads`` has to look at, those due longest first."""
        return self.filter(due_at__lte=timezone.now()).order_by("due_at")

    def overdue(self) -> UploadQuerySet:
        """Return the pending uploads that recovery should have looked at three minutes ago."""
        return self.pending().filter(due_at__lt=timezone.now() - GRACE)

    def start(self, upload_id: uuid.UUID) -> Upload | None:
        """
        Count one more attempt at an upload and return it, or None if it is not pending.

        An earlier attempt, whose end is unknown, may still be storing under the reserved name. So
        no other image gets that name.
        """
        upload = self._count_attempt(upload_id)
        if upload is not None:
            upload.abandon_reservation()
        return upload

    def _count_attempt(self, upload_id: uuid.UUID) -> Upload | None:
        # Write first: SQLite may refuse the write of a transaction that reads first.
        due_at = _due_at(Upload.State.PENDING)
        connection = connections[self.db]
        # MySQL and MariaDB have no UPDATE ... RETURNING.
        if connection.vendor == "mysql" or not connection.features.can_return_columns_from_insert:
            pending = self.row(upload_id, Upload.State.PENDING)
            counted = pending.update(attempts=models.F("attempts") + 1, due_at=due_at)
            return pending.first() if counted else None
        row = {"id": upload_id, "state": Upload.State.PENDING}
        started: Any = statements.start(Upload, self.db, row, due_at=due_at)
        return started  # type: ignore[no-any-return]

    def discard(self) -> int:
        """Discard these uploads: delete them and their staged bytes, and return how many."""
        return self._end(is_superseded=False)

    def supersede(self) -> int:
        """Do as ``discard()``, because of a newer state of their column."""
        return self._end(is_superseded=True)

    def _end(self, *, is_superseded: bool) -> int:
        count = 0
        for upload in self._current():
            with transaction.atomic(using=upload.using):
                # Keep this query's conditions: an operator may have retried a failed upload since.
                row = self.using(upload.using).filter(pk=upload.pk)
                upload.reserved = for_update(row).values_list("reserved", flat=True).first()
                deleted, _rows = row.delete()
                if not deleted:
                    continue
                upload.abandon_reservation()
                upload.remove_staged()
            if is_superseded:
                logger.info("Upload %s: superseded by a newer state.", upload.pk)
            else:
                logger.info("Upload %s: discarded.", upload.pk)
            count += 1
        return count

    def _current(self) -> Iterable[Upload]:
        """
        Return these uploads as they are now, even if this transaction reads an older snapshot.

        At REPEATABLE READ, InnoDB shows the rows of the transaction's first read. A locking read
        would be current, but it locks a gap where it finds nothing, and neighbours deadlock.
        At SERIALIZABLE, PostgreSQL counts a read as a dependency on all rows that others insert
        meanwhile, and refuses those transactions. A separate connection sees what is committed and
        locks nothing. The worker finds what it misses: ``Upload.is_superseded``.
        """
        connection = connections[self.db]
        if not connection.in_atomic_block or not isolation.reads_snapshot(connection):
            return list(self)
        found = {} if connection.vendor == "postgresql" else {upload.pk: upload for upload in self}
        query = self.values_list("pk", "staged").query
        for key, staged in isolation.committed(connection, *query.sql_with_params()):
            upload = Upload(pk=uuid.UUID(str(key)), staged=staged)
            upload._state.db = self.db
            found.setdefault(upload.pk, upload)
        return found.values()


def first_due_at() -> datetime:
    """Return the time when recovery first looks at an upload that is made now."""
    return _due_at(Upload.State.PENDING)


class Upload(models.Model):
    """
    A row of the outbox: an image that is pending or failed.

    The row is deleted when the upload is attached, superseded or discarded. It is in the database
    of its instance.
    """

    class State(models.TextChoices):
        PENDING = "pending", _("pending")
        FAILED = "failed", _("failed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.CharField(_("model"), max_length=201)
    object_pk = BinaryCollationCharField(_("primary key"), max_length=255)
    field_name = models.CharField(_("field"), max_length=100)
    name = BinaryCollationTextField(_("file name"))
    file = models.JSONField(_("file"))
    #: The name that the column held when the upload was made. A worker attaches the image only
    #: where the column still holds it.
    held = BinaryCollationTextField(_("replaces"), blank=True, default="")
    #: What the project's CONTEXT captured in the request.
    context = models.JSONField(_("context"), default=dict, blank=True)
    width = models.PositiveIntegerField(_("width"), null=True)
    height = models.PositiveIntegerField(_("height"), null=True)
    staged = models.CharField(_("staged as"), max_length=255)
    #: The SHA-256 of the staged bytes in hexadecimal, or "" if none was taken.
    sha256 = models.CharField(max_length=64, blank=True, default="", editable=False)
    #: ``Sender.key`` of the person who is shown the image while it is pending, or "".
    sender = models.CharField(max_length=64, blank=True, default="", editable=False)
    #: The digest of the name under which a worker is storing the image in the final storage. It is
    #: unique, because a storage that looks for a free name and then stores may find one name for
    #: two images.
    reserved = models.CharField(max_length=64, null=True, unique=True, editable=False)
    state = models.CharField(_("state"), max_length=7, choices=State.choices, default=State.PENDING)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    error = BinaryCollationTextField(_("last error"), blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    #: When it was made, or was last retried by an operator.
    pending_since = models.DateTimeField(default=timezone.now, editable=False)
    sent_at = models.DateTimeField(_("last sent"), default=timezone.now)
    #: When recover_uploads looks at it next: to send it again, or, once failed, to purge it.
    due_at = models.DateTimeField(_("due"), default=first_due_at)

    objects = UploadQuerySet.as_manager()

    class Meta:
        verbose_name = _("upload")
        verbose_name_plural = _("uploads")
        indexes = [
            models.Index(fields=["object_pk", "model", "field_name"], name="async_forms_target"),
            models.Index(fields=["state", "due_at"], name="async_forms_due"),
            # The admin lists the newest first: at a million rows, 2 ms and not 400.
            models.Index(fields=["created_at"], name="async_forms_created"),
        ]

    def __str__(self) -> str:
        return f"{printable(self.name)} → {self.model} {self.object_pk}, {self.field_name}"

    @property
    def using(self) -> str:
        """The alias of the database that the row and its instance are in."""
        return self._state.db or DEFAULT_DB_ALIAS

    def insert(self, using: str) -> None:
        """Insert the row, whose ``held`` may be an expression."""
        if isinstance(self.held, str):
            statements.insert(self, using)
        else:
            self.save(using=using, force_insert=True)
            del self.held  # Reading it again loads the value from the row.

    def get_model(self) -> type[models.Model]:
        """Return the class of the instance. Raises ``LookupError`` if the project lacks it."""
        return apps.get_model(self.model)

    def get_field(self) -> models.FileField:
        """Return the instance's field. Raises ``FieldDoesNotExist`` if the model lacks it."""
        return file_field(self.get_model(), self.field_name)

    def get_target(self) -> Target:
        """Return the column that the image is for. Raises as ``get_field()`` does."""
        owner = self.get_field().model
        return Target(owner._meta.label_lower, self.object_pk, self.field_name, self.using)

    def get_instance(self) -> models.Model:
        """Load the instance from its database. Raises its class's ``DoesNotExist``."""
        owner = self.get_field().model
        key = {owner._meta.pk.name: key_from_text(owner, self.object_pk)}
        instance: models.Model
        try:
            instance = rows(self.get_model(), self.using).get(**key)
        except ObjectDoesNotExist:
            # A child may be deleted without its parent, which keeps the image.
            instance = rows(owner, self.using).get(**key)
        return instance

    def open_staged(self) -> File[Any]:
        """Open the staged bytes for reading. Raises what the staging storage raises."""
        return staging_storage(self.using).open(self.staged)

    def remove_staged(self) -> None:
        """Remove the staged bytes: immediately if a rollback restores them, else on commit."""
        remove_staged(self.staged, self.using)

    # The transitions of the state. Each is one statement with the old state as its condition
    # (compare and swap): a process that comes second changes nothing.

    def pending_row(self) -> UploadQuerySet:
        """Return the row of this upload as a query, which finds nothing once it has ended."""
        return Upload.objects.using(self.using).row(self.pk, self.State.PENDING)

    def mark_sent(self) -> None:
        """
        Note that the upload was sent now, and when recovery sends it again.

        The wait doubles each time (exponential backoff), so that a long queue is not made longer.
        """
        now = timezone.now()
        self._change(self.State.PENDING, sent_at=now, due_at=_due_at(self.State.PENDING, self))

    def mark_due(self) -> None:
        """Note that the upload could not be sent, so that the next recovery sends it."""
        self._change(self.State.PENDING, due_at=timezone.now())

    def reschedule(self, error: str, pause: float, *, is_sent: bool) -> bool:
        """
        Note that an attempt failed, and that the next one begins after ``pause`` seconds.

        Unless the message of that attempt is sent already, recovery sends it then.
        """
        start = _due_at(self.State.PENDING) if is_sent else timezone.now()
        due_at = start + timedelta(seconds=pause)
        return self._change(
            self.State.PENDING, error=error, due_at=due_at, reserved=self._without_own_name()
        )

    def fail(self, error: str) -> bool:
        """Keep the upload as failed, with its bytes, until an operator retries or discards it."""
        # The start that finds all attempts lost makes none.
        self.attempts = min(self.attempts, conf().MAX_ATTEMPTS)
        return self._change(
            self.State.PENDING,
            state=self.State.FAILED,
            error=error,
            attempts=self.attempts,
            due_at=_due_at(self.State.FAILED),
            reserved=self._without_own_name(),
        )

    def _without_own_name(self) -> Any:
        """Return the row's reserved name, unless this attempt has reserved it."""
        if self.reserved is None:
            return models.F("reserved")
        # Another attempt may be storing under the name that it has reserved since.
        own = models.When(reserved=self.reserved, then=models.Value(None))
        return models.Case(own, default=models.F("reserved"))

    def retry(self) -> bool:
        """Make a failed upload pending again, with its attempt count reset."""
        return self._change(
            self.State.FAILED,
            state=self.State.PENDING,
            attempts=0,
            pending_since=timezone.now(),
            sent_at=timezone.now(),
            due_at=_due_at(self.State.PENDING),
        )

    def reserve(self, name: str, *, shares: bool = False) -> bool:
        """
        Reserve a name in the final storage, and tell whether this attempt may store under it.

        A name is refused if another upload has reserved it. Unless ``shares``, it is also refused
        if it is abandoned, or if another attempt at this upload has reserved it. Raises
        ``NotPendingError`` if the upload has ended.
        """
        reserved = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
        pending = self.pending_row()
        # Two attempts at one upload may run at the same time. One that does not know the other's
        # name must not take the same, because whichever fails removes its file.
        free = pending.filter(_holds("reserved", self.reserved or ""))
        abandoned = AbandonedName.objects.using(self.using).filter(digest=reserved)
        unabandoned = free.exclude(models.Exists(abandoned))
        try:
            with savepoint(self.using):
                if (pending if shares else unabandoned).update(reserved=reserved):
                    self.reserved = reserved
                    # The update may have waited until the upload with this name was superseded. It
                    # does not see that the name was abandoned by then.
                    return shares or not abandoned.exists()
        except IntegrityError:
            return False
        current = pending.values_list("reserved").first()
        if current is None:
            raise NotPendingError(f"Upload {self.pk} is no longer pending.")
        if current == (self.reserved,):
            return False
        (self.reserved,) = current
        self.abandon_reservation()
        return self.reserve(name)

    def abandon_reservation(self) -> None:
        """Keep the reserved name from other images: an attempt may still be storing under it."""
        if self.reserved is not None:
            names = AbandonedName.objects.using(self.using)
            names.bulk_create([AbandonedName(digest=self.reserved)], ignore_conflicts=True)

    def replace_held(self, name: str) -> bool:
        """Note that the image is attached as ``name``, while its ``save()`` is still running."""
        if not self.pending_row().filter(held=self.held).update(held=name):
            return False
        self.held = name
        return True

    def settle(self) -> bool:
        """Settle the upload as attached: delete it and its staged bytes, unless it has ended."""
        is_one = is_transactional(staging_storage(self.using), self.using)
        with transaction.atomic(self.using, savepoint=False) if is_one else nullcontext():
            row = self.pending_row().filter(held=self.held)
            is_deleted = bool(row._raw_delete(self.using))
            if is_deleted:
                self.remove_staged()
        return is_deleted

    def settle_with(
        self, field: models.FileField, instance: models.Model, held: str, values: dict[str, Any]
    ) -> bool:
        """
        Write the image on its instance and settle the upload, in one statement.

        Return False if nothing was done: the column does not hold ``held``, the upload has ended,
        a transaction is open, or the database has no such statement.
        """
        row = {"id": self.pk, "state": self.State.PENDING, "held": self.held}
        doomed: list[Any] = [(Upload, row)]
        is_one = is_transactional(staging_storage(self.using), self.using)
        if is_one:
            doomed.append((StoredChunk, {"name": self.staged}))
        is_settled = statements.swap_and_delete(field, instance, self.using, held, values, *doomed)
        if is_settled and not is_one:
            self.remove_staged()
        return is_settled

    def is_superseded(self) -> bool:
        """
        Tell whether a newer upload for the same column was committed.

        The newer upload has ended this one unless it could not see it: see
        ``UploadQuerySet._current``.
        """
        if not isolation.reads_snapshot(connections[self.using]):
            return False
        uploads = Upload.objects.using(self.using).for_targets({self.get_target()})
        newer = uploads.filter(created_at__gt=self.created_at)
        return newer.exists()

    def _change(self, from_state: State, **values: Any) -> bool:
        row = Upload.objects.using(self.using).row(self.pk, from_state)
        return bool(row.update(**values))


#: Whether each outbox exists, by its name. ``migrate`` clears this.
_outboxes: dict[str, bool] = {}


def has_outbox(using: str) -> bool:
    """
    Tell whether a database has the table of the outbox.

    A model may be in a database without one: a database of another application, or a schema of
    django-tenants, which the connection names.
    """
    name = outbox_name(using)
    if name not in _outboxes:
        tables = connections[using].introspection.table_names()
        _outboxes[name] = Upload._meta.db_table in tables
    return _outboxes[name]


def note_outbox(using: str) -> None:
    """Note that a database has the table: another process may have run ``migrate``."""
    _outboxes[outbox_name(using)] = True


def forget_outboxes(**kwargs: Any) -> None:
    """Receive ``post_migrate``: a database may have the table now."""
    _outboxes.clear()


def has_upload(instance: models.Model, field: models.FileField) -> bool:
    """Tell whether an upload is pending or failed for a field of an instance."""
    if instance._state.adding:
        return False
    using = router.db_for_write(type(instance), instance=instance)
    uploads = Upload.objects.using(using)
    return has_outbox(using) and uploads.for_instance(instance, field.name).exists()


def has_image(instance: models.Model, field: models.FileField) -> bool:
    """Tell whether a saved instance has an upload for a field, or an image in its row."""
    if instance._state.adding:
        return False
    if has_upload(instance, field):
        return True
    # The row last: a worker may attach the image meanwhile.
    using = router.db_for_write(type(instance), instance=instance)
    row = current_values(field, instance, using)
    return row is not None and bool(row[field.attname])


def _due_at(state: Upload.State, sent: Upload | None = None) -> datetime:
    """
    Return the time when recovery looks at an upload: the one rule for ``due_at``.

    Recovery sends a pending upload again if nothing happens to it for ``RESEND_AFTER``. Once it was
    sent again, the wait is at least the time that it has been pending. Recovery purges a failed
    upload after ``KEEP_FAILED``.
    """
    now = timezone.now()
    if state == Upload.State.FAILED:
        return now + timedelta(seconds=conf().KEEP_FAILED)
    wait = timedelta(seconds=conf().RESEND_AFTER)
    if sent is not None:
        wait = max(wait, now - sent.pending_since)
    return now + wait


def savepoint(using: str) -> AbstractContextManager[None]:
    """Return a savepoint if a transaction is open, so that an error does not break it."""
    if connections[using].in_atomic_block:
        return transaction.atomic(using=using)
    return nullcontext()


class AbandonedName(models.Model):
    """
    A name in the final storage under which an attempt was storing an image when its upload ended.

    The attempt may still be storing, so no other image gets the name until recovery removes the
    row.
    """

    digest = models.CharField(max_length=64, primary_key=True)
    abandoned_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return self.digest


class StoredChunk(models.Model):
    """A piece of a file in ``DatabaseStorage``. A file is all rows with its name, in order."""

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
