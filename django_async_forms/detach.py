"""The request's half: takes a form's images off their instance in ``save()``, and stages them."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterable
from contextlib import nullcontext
from functools import partial
from typing import Any

from django.core.files.base import File
from django.db import router, transaction
from django.db.models import Field, FileField, Model
from django.db.models.fields.files import FieldFile

from . import hooks
from .draft_file import DraftFile
from .draft_model import using_up
from .fields import (
    column_values,
    current_values,
    file_field,
    file_fields,
    file_name,
    image_columns,
    image_values,
    lock_row,
    uncommitted_file,
)
from .models import Upload
from .snapshot import FoundUploads, Snapshot
from .staging import claim_draft, stage


class _Step:
    """A part of a save that is done once, and once more if a rollback has undone it."""

    def __init__(self) -> None:
        self.is_committed = False
        #: The callback of the transaction that has done it. A rollback drops the callback.
        self.on_commit: weakref.ref[Any] | None = None

    def must_be_done(self) -> bool:
        """Tell whether it was never done, or a rollback has undone it."""
        if self.is_committed:
            return False
        return self.on_commit is None or self.on_commit() is None

    def note_done(self, using: str) -> None:
        """Note that it is done, unless the open transaction rolls back."""
        # The transaction may be long: it keeps no file of an instance that nobody has any more.
        callback = partial(_note_committed, weakref.ref(self))
        self.on_commit = weakref.ref(callback)
        transaction.on_commit(callback, using=using)

    def note_committed(self) -> None:
        self.is_committed = True


def _note_committed(reference: weakref.ref[_Step]) -> None:
    step = reference()
    if step is not None:
        step.note_committed()


class _Detached(_Step):
    """A file that was taken off its instance to be staged, and the name to store it under."""

    def __init__(self, file: File[Any], name: str) -> None:
        super().__init__()
        self.file: File[Any] | None = file
        self.name = name

    def unstaged_file(self) -> File[Any]:
        if self.file is None:
            raise ValueError(f"The file {self.name!r} was staged already.")
        return self.file

    def note_committed(self) -> None:
        super().note_committed()
        self.file = None


class Detachment(hooks.SaveHandler):
    """
    Takes the images of a form off its instance when ``save()`` begins, and stages them.

    The form makes it before validation puts the uploads on the instance. So it knows the images
    that the instance had before the form.
    """

    def __init__(self, instance: Model) -> None:
        #: The image columns before the form. After a save: those that the row holds since.
        self._before = Snapshot.before_form(instance)
        self._unchanged_before_form = {
            field.name for field in file_fields(instance) if Snapshot.is_as_loaded(instance, field)
        }
        taken = Snapshot.take(instance)
        self._had_image_before_form = {
            field.name
            for field in file_fields(instance)
            if taken.key is not None and taken.values.get(field.attname)
        }
        #: The fields whose images a worker saves, and those that the form empties.
        self._fields: set[str] = set()
        self._cleared: dict[str, _Step] = {}
        #: The images that ``save()`` has taken off, by field.
        self._detached: dict[str, _Detached] = {}
        self._saves_all_fields = True
        #: The fields of which ``save()`` has written a column, in the tables of all parents.
        self._written: list[FileField] = []
        self._only_replaces = False
        self._sender = ""
        self._hidden: set[str] = set()
        self._earlier_fields: set[str] | None = None
        #: Whether a block has made it, and ends it.
        self.is_in_block = False

    def had_image_before_form(self, field: FileField) -> bool:
        """Tell whether the saved instance had an image when the form was made."""
        return field.name in self._had_image_before_form

    def was_unchanged_before_form(self, name: str) -> bool:
        """Tell whether an image was still as loaded when the form was made."""
        return name in self._unchanged_before_form

    def is_waiting(self, instance: Model, field: FileField) -> bool:
        """Tell whether an image still has to be staged or stored: by the next ``save()``."""
        detached = self._detached.get(field.name)
        if detached is not None:
            return detached.must_be_done()
        return uncommitted_file(instance, field) is not None

    def restore_initial_image(self, instance: Model, name: str, file: FieldFile) -> None:
        """Put the form's initial image on its instance, with the dimensions before the form."""
        columns = image_columns(file_field(type(instance), name))
        # FieldFile.save() changes the initial file in place, and sets the dimensions.
        if file_name(file) == self._before.values.get(name):
            for column in columns[1:]:
                if column.attname in self._before.values:
                    instance.__dict__[column.attname] = self._before.values[column.attname]
        # Code may have assigned another image since the form was made. Django replaces it.
        assigned = instance.__dict__.get(name)
        if file_name(assigned) != file_name(file) or not getattr(assigned, "_committed", True):
            instance.__dict__[name] = file

    def wait_for_save(
        self,
        instance: Model,
        fields: Collection[FileField],
        cleared: Collection[str],
        form_field_names: Collection[str] = (),
        only_replaces: bool = False,
        sender: str = "",
        hidden: Collection[str] = (),
    ) -> None:
        """
        Detach the images of ``fields`` when ``save()`` of ``instance`` is called.

        Until then, the instance is as Django's form leaves it, so a view can look at the uploaded
        file, rename it or replace it. ``cleared`` names the fields that the form empties.
        ``form_field_names`` names all fields of the form. With ``only_replaces``, the request saves
        an image that replaces none. The person with the key ``sender`` sees the images while they
        are pending, except those of the fields in ``hidden``.
        """
        self._fields = {field.name for field in fields}
        self._cleared = {name: _Step() for name in cleared}
        self._only_replaces = only_replaces
        self._sender = sender
        self._hidden = set(hidden)
        earlier = hooks.handler_of(instance)
        if isinstance(earlier, Detachment) and earlier is not self:
            self._earlier_fields = set(earlier._fields)
            # A second form for the same instance. The first one knows the values before both.
            self._fields |= earlier._fields.difference(form_field_names)
            self._cleared = {**earlier._cleared, **self._cleared}
            detached = {**earlier._detached, **self._detached}
            # An image that was rolled back would be staged again. A form that clears it is newer.
            self._detached = {name: one for name, one in detached.items() if name not in cleared}
            self._sender = sender or earlier._sender
            self._hidden |= earlier._hidden
            before = self._before
            values = {**before.values, **earlier._before.values}
            self._before = Snapshot(before.using, before.key, values)
        hooks.handle_saves(instance, self)

    def release(self, instance: Model) -> None:
        """
        Detach no further images of an instance, but those of a form that it had before.

        An image whose transaction is still open is staged by the next save if that rolls back.
        """
        self.is_in_block = False
        self._fields = self._earlier_fields or set()
        if self._earlier_fields is None and all(
            detached.is_committed for detached in self._detached.values()
        ):
            hooks.forget(instance)

    def refreshed(self, instance: Model, columns: Collection[Field[Any, Any]]) -> None:
        self._before = self._before.updated(column_values(instance, columns))

    def taken_off_fields(self) -> Collection[str]:
        return self._detached.keys()

    def save(self, instance: Model, save: Callable[[], Any], saves_all_fields: bool) -> Any:
        """Call ``save`` without the images that a worker saves."""
        taken_off: dict[str, dict[str, Any]] = {}
        for field in file_fields(instance):
            file = uncommitted_file(instance, field)
            if (
                field.name in self._fields
                and file is not None
                and self._is_for_worker(instance, field)
            ):
                taken_off[field.name] = {
                    column.attname: instance.__dict__.get(column.attname)
                    for column in image_columns(field)
                }
                self._detached[field.name] = _Detached(self._unshared(file.file), str(file.name))
                self._cleared.pop(field.name, None)  # Newer than the form that cleared it.
                self._restore_old_image(instance, field)
            elif self._is_emptied(instance, field):
                # Otherwise a rollback would have it staged again.
                self._detached.pop(field.name, None)
        self._saves_all_fields = saves_all_fields
        self._written = []
        try:
            result = save()
            self._stage_unwritten(instance)
            return result
        finally:
            # An image that was not written, because of an error or of update_fields, waits for the
            # next save(), as in plain Django.
            for field in file_fields(instance):
                if field.name in taken_off and self._detached[field.name].on_commit is None:
                    del self._detached[field.name]
                    if uncommitted_file(instance, field) is None:
                        instance.__dict__.update(taken_off[field.name])

    def _unshared(self, file: File[Any]) -> File[Any]:
        """Return a file, or a copy of a draft that another field has: one upload claims it."""
        is_shared = any(file is detached.file for detached in self._detached.values())
        return file.copy() if is_shared and isinstance(file, DraftFile) else file

    def _is_emptied(self, instance: Model, field: FileField) -> bool:
        """Tell whether code has emptied a field since the image before the form was restored."""
        is_empty = not instance.__dict__.get(field.attname, True)
        return is_empty and bool(self._before.values.get(field.attname))

    def _is_for_worker(self, instance: Model, field: FileField) -> bool:
        """Tell whether a worker saves an image, as far as that depends on the one it replaces."""
        if not self._only_replaces:
            return True
        if instance._state.adding:
            return False
        held = self._before.values.get(field.attname)
        if held is None:
            using = router.db_for_write(type(instance), instance=instance)
            held = (current_values(field, instance, using) or {}).get(field.attname)
        return bool(held)

    def write(self, write: hooks.TableWrite) -> bool:
        """Write the instance without the images, and stage those in the same transaction."""
        instance, using, before = write.instance, write.using, self._before
        fields = [field for field in write.file_fields() if write.includes(field)]
        to_stage = [
            field
            for field in (write.file_fields() if self._saves_all_fields else fields)
            if field.name in self._detached and self._detached[field.name].must_be_done()
        ]
        changed = [] if write.inserts else self._changed(write, fields)
        drafts = write.drafts()
        if to_stage:
            self._store_others(instance, fields, write.inserts)
        columns = before.unchanged(instance, using)
        columns -= {column.name for field in changed for column in image_columns(field)}
        # Django's write stores the file of a changed field. No transaction stays open for that.
        is_atomic = (
            to_stage
            or drafts
            or any(uncommitted_file(instance, field) is None for field in changed)
        )
        is_open = transaction.atomic(using, savepoint=False) if is_atomic else nullcontext()
        with write.restoring_key(), is_open:
            for field in to_stage:
                claim_draft(self._detached[field.name].unstaged_file(), using)
            with using_up(drafts):
                updated = write(without=columns)
            for field in to_stage:
                self._stage(write, field, created=not updated)
            if updated:
                self._end_older(write, [field for field in changed if field not in to_stage])
                is_for_row = before.is_for_row_of(instance, using)
                self._written += write.written_fields(columns) if is_for_row else changed
            for field in filter(self._is_to_clear, fields):
                self._cleared[field.name].note_done(using)
            if write.table is instance._meta.concrete_model:
                self._remember(write)
        return updated

    def _store_others(self, instance: Model, fields: list[FileField], inserts: bool) -> None:
        """Store the files that the request saves, before a transaction is open."""
        for field in fields:
            if uncommitted_file(instance, field) is not None:
                field.pre_save(instance, inserts)

    def _stage_unwritten(self, instance: Model) -> None:
        """Stage the images whose columns an overridden ``save()`` left out: it saw no change."""
        using = instance._state.db
        fields = [
            field
            for field in file_fields(instance)
            if field.name in self._detached and self._detached[field.name].on_commit is None
        ]
        if not self._saves_all_fields or instance._state.adding or using is None:
            return
        for field in fields:
            with transaction.atomic(using=using):
                lock_row(field, instance, using)
                detached = self._detached[field.name]
                claim_draft(detached.unstaged_file(), using)
                stage(
                    instance,
                    field,
                    detached.unstaged_file(),
                    name=detached.name,
                    using=using,
                    sender=self._sender_of(field),
                )
                detached.note_done(using)

    def _changed(self, write: hooks.TableWrite, fields: Iterable[FileField]) -> list[FileField]:
        """Return the fields that the form empties, or whose file somebody has changed."""
        return [
            field
            for field in fields
            if self._is_to_clear(field)
            or self._before.is_changed(write.instance, field, write.using)
        ]

    def _is_to_clear(self, field: FileField) -> bool:
        """Tell whether the form empties a field, and no save since has done so."""
        return field.name in self._cleared and self._cleared[field.name].must_be_done()

    def _restore_old_image(self, instance: Model, field: FileField) -> None:
        """Put the image before the form on the instance. The descriptor would open its file."""
        before = self._before.values
        inserts = instance._state.adding or instance.pk is None
        using = router.db_for_write(type(instance), instance=instance)
        row: dict[str, Any] = {}
        if field.attname not in before and not inserts:
            row = current_values(field, instance, using) or {}
        columns = image_columns(field)
        if any(c.attname not in before and not c.null for c in columns[1:]):
            # The dimensions may not be set yet, if nobody has looked at the image.
            field.update_dimension_fields(instance, force=True)  # type: ignore[attr-defined]
        for column in columns:
            value = before.get(column.attname, row.get(column.attname, column.get_default()))
            # A dimension that must have a value keeps the one of the new image.
            if value is not None or column.null or column is field:
                instance.__dict__[column.attname] = value

    def _stage(self, write: hooks.TableWrite, field: FileField, created: bool) -> None:
        detached, instance = self._detached[field.name], write.instance
        value = instance.__dict__.get(field.attname)
        stage(
            instance,
            field,
            detached.unstaged_file(),
            name=detached.name,
            using=write.using,
            # For an existing row, the upload's insert reads what the row holds.
            held=file_name(value) if created and not hasattr(value, "resolve_expression") else None,
            # A chosen key may have belonged to another instance.
            is_new=created and not write.had_key,
            sender=self._sender_of(field),
        )
        detached.note_done(write.using)

    def _sender_of(self, field: FileField) -> str:
        return "" if field.name in self._hidden else self._sender

    def _end_older(self, write: hooks.TableWrite, fields: Collection[FileField]) -> None:
        """End the uploads for images that the form clears or a view replaces."""
        for field in fields:
            uploads = Upload.objects.using(write.using).for_instance(write.instance, field.name)
            if self._is_to_clear(field):
                uploads.discard()
            else:
                uploads.supersede()
            FoundUploads.of(write.instance).pop(field.name, None)

    def _remember(self, write: hooks.TableWrite) -> None:
        """
        Note on the instance which images its row holds now.

        A column that ``save()`` has changed is noted at the commit, because a rollback undoes it.
        """
        instance = write.instance
        before = self._before.values if self._before.is_for_row_of(instance, write.using) else {}
        values = dict(before)
        for field in file_fields(instance):
            if write.includes(field):
                values.update(image_values(instance, field))
        now = Snapshot(write.using, Snapshot.key_of(instance), values)
        self._keep_snapshot(now.without(instance, self._written), instance)
        if self._written:
            reference = weakref.ref(instance)
            transaction.on_commit(lambda: self._keep_snapshot(now, reference()), using=write.using)

    def _keep_snapshot(self, snapshot: Snapshot, instance: Model | None) -> None:
        self._before = snapshot
        if instance is not None:
            snapshot.install(instance)
