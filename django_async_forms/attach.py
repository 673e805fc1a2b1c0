"""The worker's half: from a row of the outbox to the image on its instance."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.core.files.base import File
from django.db import DatabaseError, connections, transaction
from django.db.models import Field, FileField, Model, Q, QuerySet
from django.db.models.fields.files import FieldFile
from django.db.models.signals import post_save

from . import context, hooks
from .background import meanwhile
from .checksum import sha256_of
from .codec import reconstruct
from .fields import (
    as_text,
    file_fields,
    file_name,
    for_update,
    image_columns,
    image_values,
    lock_row,
    row_of,
    rows,
    uncommitted_file,
)
from .final_storage import StoredFiles, is_lazy
from .models import NotPendingError, Upload, savepoint
from .signals import image_saved, send_signal
from .statements import swap
from .storage import StagingFileSystemStorage, staging_storage

logger = logging.getLogger("django_async_forms")


class PermanentError(Exception):
    """An error that no retry can fix, so the upload is failed after this attempt."""


class _ColumnChangedError(Exception):
    """The column has changed since the attempt began."""


#: The most rounds of one attempt. A new round begins if the column changes while the image is
#: stored.
_MAX_ROUNDS = 5


def attach(upload: Upload) -> None:
    """
    Save the image of ``upload`` on its instance, and settle the upload.

    If the column holds a newer state, the upload is superseded. If the upload ends while its image
    is stored, nothing is attached.

    Raises ``PermanentError`` if no retry can help, and the exceptions of the staging storage, the
    field, the final storage, the model's ``save()`` and the database. The row and the staged bytes
    stay then: for the next attempt, or for an operator.
    """
    with context.restore(upload.context):
        for _ in range(_MAX_ROUNDS):
            try:
                with _verifying(upload) as verify:
                    _attach_once(upload, verify)
            except _ColumnChangedError:
                continue
            except NotPendingError:
                logger.info("Upload %s: superseded, discarded or attached meanwhile.", upload.pk)
            return
    raise _ColumnChangedError(
        f"The column for {upload} changed {_MAX_ROUNDS} times while the image was being stored."
    )


def _attach_once(upload: Upload, verify: Callable[[File[Any]], None]) -> None:
    try:
        instance = upload.get_instance()
    except ObjectDoesNotExist as error:
        if not upload.pending_row().exists():
            raise NotPendingError from error  # Deleted with its instance.
        raise PermanentError(
            f"There is no {upload.model} with the primary key {upload.object_pk!r}: it was "
            "deleted, or its key was changed, without Django's signals."
        ) from error
    field = upload.get_field()
    held = file_name(instance.__dict__.get(field.attname))
    if upload.is_superseded() or (held != upload.held and _is_newer(upload, field, instance)):
        Upload.objects.using(upload.using).filter(pk=upload.pk).supersede()
        return
    attempt = _Attempt(upload, instance, verify)
    try:
        attempt.run()
    except BaseException:
        attempt.undo()
        raise
    logger.info("Upload %s: attached.", upload.pk)
    send_signal(image_saved, instance, upload, replaced=held)


@contextmanager
def _verifying(upload: Upload) -> Iterator[Callable[[File[Any]], None]]:
    """
    Yield a function that verifies the bytes that are about to be stored.

    Those in a folder are read while the block runs, which loads the instance first.
    """
    storage = staging_storage(upload.using)
    # A row without a checksum was staged by a version before it, or with CHECKSUM off.
    if not upload.sha256:
        yield lambda uploaded: None
    elif isinstance(storage, StagingFileSystemStorage):
        with meanwhile(partial(_sha256_of_staged, upload)) as taken:
            yield lambda uploaded: _verify(upload, taken())
    else:
        yield lambda uploaded: _verify(upload, sha256_of(uploaded))


def _sha256_of_staged(upload: Upload) -> str:
    with upload.open_staged() as staged:
        return sha256_of(staged)


def _verify(upload: Upload, found: str) -> None:
    """Raise ``PermanentError`` if the staged bytes have changed since they were staged."""
    if found and found != upload.sha256:
        raise PermanentError(
            f"The staged bytes have changed since they were staged: their SHA-256 is {found}, "
            f"and it was {upload.sha256}. Restore the file {upload.staged!r} in the staging "
            "storage and retry, or discard the upload and ask for the image again."
        )


def _is_newer(upload: Upload, field: FileField, instance: Model) -> bool:
    """
    Tell whether the column, which has changed since the upload was made, holds a newer state.

    An empty column is newer, and so is a file stored after the upload was made. A file stored
    before that is a stale write, by code that had loaded the instance earlier.
    """
    file: FieldFile = getattr(instance, field.attname)
    if not file:
        return True
    stored_at = _stored_at(file)
    if stored_at is None:
        raise PermanentError(
            f"{field} was changed from {upload.held!r} to {file.name!r} while this upload was "
            "pending, and its storage cannot tell which is newer. Discard the upload, or change "
            "the field back and retry."
        )
    # Object stores know whole seconds, and a file system's clock lags by some milliseconds.
    precision = timedelta(milliseconds=20) if stored_at.microsecond else timedelta(seconds=1)
    return stored_at > upload.created_at - precision


def _stored_at(file: FieldFile) -> datetime | None:
    """Return when a file was stored, or None if it is not there or its storage has no dates."""
    try:
        stored_at: datetime = file.storage.get_modified_time(str(file.name))
    except NotImplementedError:
        return None
    except Exception:
        # For a file that does not exist, each storage raises an error of its own.
        if not file.storage.exists(str(file.name)):
            return None
        raise
    return stored_at


class _Attempt(hooks.SaveHandler):
    """
    One attempt at saving an upload on its instance.

    The attempt begins like a save in the request: when it calls ``save()``, the image is on the
    instance and not stored yet. So an overridden ``save()`` and receivers of ``pre_save`` find what
    they would have found in the request. Then the image is stored. A short transaction writes only
    the columns that this attempt has changed, and only where nobody else has changed them.
    """

    def __init__(
        self, upload: Upload, instance: Model, verify: Callable[[File[Any]], None]
    ) -> None:
        self.upload = upload
        self.instance = instance
        self._verify = verify
        self.field = upload.get_field()
        #: What the image's columns held, and what they hold after the last write of this attempt.
        self._held = self._written = image_values(instance, self.field)
        #: Each column as this attempt has last read or written it, as text.
        self._before = {
            column: as_text(column, instance.__dict__[column.attname])
            for column in instance._meta.concrete_fields
            if column.attname in instance.__dict__
        }
        #: The other columns that this attempt has written: the value before, and the new text.
        self._replaced: dict[Field[Any, Any], tuple[Any, str]] = {}
        self._stored = StoredFiles(upload)
        self._following = _columns_that_follow(instance)
        self._is_stored = self._is_written = self._is_attached = self._is_settled = False
        self._runs_own_statements = False
        quote = connections[upload.using].ops.quote_name
        tables = {column.model._meta.db_table for column in instance._meta.concrete_fields}
        self._updates = tuple(f"UPDATE {quote(table)} " for table in tables)
        self._error: Exception | None = None

    def run(self) -> None:
        """Store the image, attach it, and settle the upload."""
        upload, instance, name = self.upload, self.instance, self.field.attname
        table: Any = instance._meta.concrete_model
        if table._meta.parents:
            # Django writes parents and child in one transaction. The image is stored before that.
            hooks.connect_pre_save(type(instance))
        with self._uploaded() as uploaded, self._savepoint():
            # An ImageField sets the dimensions only if the attribute had a value before.
            getattr(instance, name)
            setattr(instance, name, uploaded)
            getattr(instance, name).name = upload.name
            self._watch()
            hooks.handle_saves(instance, self)
            try:
                with connections[upload.using].execute_wrapper(self._note_updates_by_save):
                    instance.save()  # As a form calls it: an override may take no arguments.
            finally:
                hooks.forget(instance)
                self._unwatch()
        if not self._is_attached:
            raise self._error or RuntimeError(
                f"{instance._meta.label}.save() did not call Django's save(), "
                "so the image is not stored."
            )
        if not self._is_settled and not upload.settle():
            logger.info("Upload %s: superseded after it was attached.", upload.pk)
        self._stored.keep()

    def before_write(self) -> None:
        self._store()

    def _store(self) -> None:
        """Let the fields store their files, as Django does when it writes them."""
        instance = self.instance
        with self._own_statements():
            for field in file_fields(instance):
                file = uncommitted_file(instance, field)
                if file is not None:
                    file.storage = self._watched(field, file)
                    field.pre_save(instance, False)
            for column in self._following:
                column.pre_save(instance, False)
        if not self._is_stored:
            self._is_stored = True
            logger.info("Upload %s: stored.", self.upload.pk)

    def write(self, write: hooks.TableWrite) -> bool:
        """Attach the image in a short transaction, which replaces Django's write of all columns."""
        if write.table is not self.field.model._meta.concrete_model:
            return True
        try:
            self._store()
            with self._own_statements():
                if not self._attach_at_once():
                    self._attach_in_transaction()
                self._load_computed()
        except Exception as error:
            self._error = error  # An overridden save() may catch it.
            raise
        self._is_attached = True
        return True

    def _attach_at_once(self) -> bool:
        """Attach the image and settle the upload in one statement, if there is nothing else."""
        upload = self.upload
        if self._is_attached or self._does_more() or self._changed_others():
            return False
        held = self._written
        # Before the statement: the connection may break while it commits.
        self._written, self._is_written = image_values(self.instance, self.field), True
        self._is_settled = upload.settle_with(
            self.field, self.instance, held[self.field.attname], self._written
        )
        if not self._is_settled:
            self._written, self._is_written = held, False
        return self._is_settled

    def _attach_in_transaction(self) -> None:
        with transaction.atomic(using=self.upload.using):
            # The instance first, then the upload: the order in which every path locks.
            is_written = self._write_image()
            self._write_others()
            if is_written:
                self._settle_or_note()

    def _does_more(self) -> bool:
        """Tell whether ``save()`` goes on after the write."""
        model = type(self.instance)
        return hooks.overrides_save(model) or post_save.has_listeners(model)

    def _write_image(self) -> bool:
        """
        Write the image if the column still holds what it held: compare and swap.

        Return False if the row has the image already. Raises ``_ColumnChangedError``.
        """
        values = image_values(self.instance, self.field)
        if self._is_attached and values == self._written:
            return False
        # An overridden save() may move the file once the instance has a key, and save the new name.
        held, using = self._written[self.field.attname], self.upload.using
        is_swapped = swap(self.field, self.instance, using, held, values)
        if is_swapped is None:
            is_swapped = self._swap_by_queryset(held, values)
        if not is_swapped:
            raise _ColumnChangedError
        self._written, self._is_written = values, True
        return True

    def _swap_by_queryset(self, held: str, values: dict[str, Any]) -> bool:
        field, instance, using = self.field, self.instance, self.upload.using
        if any(column.model is not field.model for column in image_columns(field)):
            # Django updates a child and its parent after a query: not in one statement.
            lock_row(field, instance, using)
        row = row_of(field, instance, using)
        return bool(_where_holds(row, field, held).update(**values))

    def _changed_others(self) -> dict[type[Model], list[Field[Any, Any]]]:
        """Return the other columns that were set on the instance for this image, by table."""
        instance, own = self.instance, image_columns(self.field)
        changed: dict[type[Model], list[Field[Any, Any]]] = {}
        for column in instance._meta.concrete_fields:
            if column.attname in instance.__dict__ and column not in own:
                text = as_text(column, instance.__dict__[column.attname])
                if text != self._before.get(column):
                    changed.setdefault(column.model, []).append(column)
        return changed

    def _write_others(self) -> None:
        instance = self.instance
        for owner, columns in self._changed_others().items():
            row = rows(owner, self.upload.using)
            row = row.filter(pk=owner._meta.pk.value_from_object(instance))
            names = [column.attname for column in columns]
            current: dict[str, Any] = for_update(row).values(*names).first() or {}
            values = {}
            for column in columns:
                held = current.get(column.attname)
                if as_text(column, held) != self._before.get(column):
                    continue  # Somebody else has changed it since this attempt began.
                values[column.attname] = instance.__dict__[column.attname]
                text = as_text(column, values[column.attname])
                first_held, _ = self._replaced.get(column, (held, ""))
                self._replaced[column] = first_held, text
                self._before[column] = text
            if values:
                row.update(**values)

    def _load_computed(self) -> None:
        """Load what the database has computed, as Django's own write does since 6.0."""
        values = self.instance.__dict__
        computed = {
            column.attname: column
            for column in self.instance._meta.concrete_fields
            if column.generated or hasattr(values.get(column.attname), "resolve_expression")
        }
        if not computed:
            return
        row = rows(type(self.instance), self.upload.using).filter(pk=self.instance.pk)
        for name, value in (row.values(*computed).first() or {}).items():
            column = computed[name]
            values[name], self._before[column] = value, as_text(column, value)
            if column in self._replaced:
                self._replaced[column] = self._replaced[column][0], self._before[column]

    def _settle_or_note(self) -> None:
        """
        Settle the upload in this transaction, or, if ``save()`` does more, note the attached name.

        The rest of ``save()`` may fail and be retried. Meanwhile no row is locked.
        """
        if self._does_more():
            is_pending = self.upload.replace_held(self._written[self.field.attname])
        else:
            is_pending = self._is_settled = self.upload.settle()
        if not is_pending:
            raise NotPendingError

    @contextmanager
    def _own_statements(self) -> Iterator[None]:
        self._runs_own_statements = True
        try:
            yield
        finally:
            self._runs_own_statements = False

    def _note_updates_by_save(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        """
        Count a change of the row by a query inside ``save()`` as a change by this attempt.

        An example is a flag that ``save()`` clears on all rows and then sets on its instance. The
        instance has the flag that it had before, so the attempt would not write it otherwise.
        """
        if self._runs_own_statements or not sql.startswith(self._updates):
            return execute(sql, params, many, context)
        before = self._row_as_text()
        result = execute(sql, params, many, context)
        self._before.update(
            (column, text) for column, text in self._row_as_text().items() if before[column] != text
        )
        return result

    def _row_as_text(self) -> dict[Field[Any, Any], str]:
        row = rows(type(self.instance), self.upload.using).filter(pk=self.instance.pk)
        values = row.values(*(column.attname for column in self._before)).first() or {}
        return {column: as_text(column, values.get(column.attname)) for column in self._before}

    def undo(self) -> None:
        """Restore the columns that this attempt has written, and remove the files it has stored."""
        connection = connections[self.upload.using]
        for tries_left in (2, 1, 0):
            try:
                # The attempt may have failed because of a lost connection.
                if not connection.in_atomic_block:
                    connection.close_if_unusable_or_obsolete()
                if self._undo_write():
                    self._stored.remove()
            except Exception as error:
                # After a serialization failure, a new transaction sees the current rows.
                if isinstance(error, DatabaseError) and tries_left:
                    continue
                # A superfluous file is better than removing one that an instance needs.
                logger.warning(
                    "Upload %s: left its file in the storage.", self.upload.pk, exc_info=True
                )
            return

    def _undo_write(self) -> bool:
        """Restore what the row held, and tell whether the stored file can be removed."""
        if not self._is_attached and not (self._is_written and self._is_held()):
            return True
        if self._is_settled:
            return False  # The row refers to the file, and no attempt will follow.
        try:
            with transaction.atomic(using=self.upload.using):
                self._restore_columns()
        except NotPendingError:
            return False  # A newer upload replaces the image as it is.
        return True

    def _is_held(self) -> bool:
        """
        Tell whether the row holds the image, although the write has raised.

        The connection may break while it commits. A lock waits for that commit to end.
        """
        field, using = self.field, self.upload.using
        with transaction.atomic(using=using):
            row = for_update(row_of(field, self.instance, using))
            held = row.values_list(field.attname, flat=True).first()
        return file_name(held) == str(self._written[field.attname])

    def _restore_columns(self) -> None:
        field, instance, using = self.field, self.instance, self.upload.using
        self._swap_by_queryset(self.upload.held, self._held)
        for column, (held, text) in self._replaced.items():
            owner = rows(column.model, using)
            owner = owner.filter(pk=column.model._meta.pk.value_from_object(instance))
            current = for_update(owner).values_list(column.attname, flat=True).first()
            if as_text(column, current) == text:
                owner.update(**{column.attname: held})
        if not self.upload.replace_held(self._held[field.attname]):
            # A transaction inside save() may have rolled the write back already.
            pending = self.upload.pending_row().filter(held=self._held[field.attname])
            if not pending.exists():
                raise NotPendingError
            self.upload.held = self._held[field.attname]

    def _watch(self) -> None:
        # The image's field comes first: watching a lazy storage sets it up, and another field may
        # have the same one.
        for field in sorted(file_fields(self.instance), key=lambda other: other != self.field):
            if field.attname in self.instance.__dict__:
                file: FieldFile = getattr(self.instance, field.attname)
                if field == self.field or not is_lazy(file.storage):
                    file.storage = self._watched(field, file)

    def _watched(self, field: FileField, file: FieldFile) -> Any:
        if self._stored.watches(file.storage):
            return file.storage
        return self._stored.watch(file.storage, reserves=field is self.field)

    def _unwatch(self) -> None:
        for field in file_fields(self.instance):
            file = self.instance.__dict__.get(field.attname)
            if isinstance(file, FieldFile):
                # The class of a field's files may choose the storage by the instance.
                file.storage = field.attr_class(self.instance, field, file.name).storage

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        """Keep an open transaction, such as that of a ``TestCase``, usable after an error."""
        upload, held = self.upload, self.upload.held
        is_open = connections[upload.using].in_atomic_block
        try:
            with savepoint(upload.using):
                yield
        except BaseException:
            if is_open:  # The savepoint has undone the write.
                self._is_attached, upload.held = False, held
            raise

    @contextmanager
    def _uploaded(self) -> Iterator[File[Any]]:
        upload = self.upload
        storage = staging_storage(upload.using)
        content = None
        # A link shares its bytes and its mode with the staged file. An overridden save() or a
        # receiver of post_save may change the image in place, to shrink it for example, and an
        # earlier attempt may have attached its link. These cases get a copy.
        is_alone = upload.attempts <= 1 and not self._does_more()
        if is_alone and isinstance(storage, StagingFileSystemStorage):
            content = storage.link_out(upload.staged)
        try:
            with (
                closing(content or upload.open_staged()) as staged,
                closing(reconstruct(upload.file, staged)) as uploaded,
            ):
                self._verify(uploaded)
                yield uploaded
        except BaseException:
            if content is not None:
                content.restore_mode()
            raise


def _columns_that_follow(instance: Model) -> list[Field[Any, Any]]:
    """
    Return the columns that their field's own ``pre_save()`` may change with the image.

    An example is the time when the image was changed. A field that sets its column at every save
    (``auto_now``) has done so in the request.
    """
    columns = []
    for column in instance._meta.concrete_fields:
        has_own = type(column).pre_save is not Field.pre_save
        if has_own and not isinstance(column, FileField) and column.attname in instance.__dict__:
            value = instance.__dict__[column.attname]
            before = as_text(column, value)
            if as_text(column, column.pre_save(instance, False)) == before:
                columns.append(column)
            instance.__dict__[column.attname] = value
    return columns


def _where_holds(row: QuerySet[Any], field: FileField, name: str) -> QuerySet[Any]:
    """Return a row only if its column holds a name, byte by byte."""
    if not name:
        return row.filter(Q(**{field.attname: ""}) | Q(**{f"{field.attname}__isnull": True}))
    row = row.filter(**{field.attname: name})
    if connections[row.db].vendor == "mysql":
        # The "=" of MySQL may ignore case. Its LIKE BINARY does not.
        row = row.filter(**{f"{field.attname}__endswith": name})
    return row
