"""
Notes which images an instance holds, on the instance itself, so that changes can be told later.

Each instance has the names that it was loaded or saved with. After a form, it also has a
``Snapshot`` of its image columns, so that the next save can leave out unchanged columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from django.core.files.base import File
from django.db import connections, router
from django.db.models import Field, FileField, Model

from .fields import (
    column_values,
    current_values,
    file_fields,
    file_name,
    image_columns,
    image_values,
    uncommitted_file,
)

# These are attributes of ``instance._state``, which is copied and pickled with the instance. A copy
# may be saved after a worker has attached the image.

#: The attribute for the values of a ``Snapshot``.
_SNAPSHOT = "async_forms_snapshot"
#: The attribute for the values that the instance was loaded or saved with in its image columns.
_LOADED = "async_forms_loaded"
#: The attribute for the uploads that ``prefetch_uploads`` has found.
_FOUND = "async_forms_uploads"
#: Stands for a value that was saved in an open transaction, which may still roll back.
_UNKNOWN = "\0"


def note_loaded(instance: Model, columns: Iterable[Field[Any, Any]]) -> None:
    """Note what an instance was loaded with in its image columns, before code changes them."""
    setattr(instance._state, _LOADED, column_values(instance, columns))


def note_saved(instance: Model, columns: Iterable[Field[Any, Any]], using: str) -> None:
    """Note what an instance was saved with in some of its image columns."""
    values = column_values(instance, columns)
    is_open = connections[using].in_atomic_block
    _note(instance, dict.fromkeys(values, _UNKNOWN) if is_open else values)


def _note(instance: Model, values: Mapping[str, Any]) -> None:
    state = vars(instance._state)
    state[_LOADED] = {**state.get(_LOADED, {}), **values}


class FoundUploads(dict[str, Any]):
    """The uploads that were found for an instance, or None, by the names of its fields."""

    def __reduce__(self) -> Any:
        # By the time that a pickle is read, a worker may have attached the image.
        return dict, ()

    @classmethod
    def of(cls, instance: Model) -> FoundUploads:
        found = getattr(instance._state, _FOUND, None)
        if not isinstance(found, cls):
            found = cls()
            setattr(instance._state, _FOUND, found)
        return found


class Snapshot(NamedTuple):
    """
    The values that an instance held in its image columns at one moment, by attribute name.

    A snapshot is for one row. Saving the instance under another key, or to another database, writes
    all columns.
    """

    using: str | None
    key: Any
    values: Mapping[str, Any]

    @classmethod
    def take(cls, instance: Model) -> Snapshot:
        """Return a snapshot of an instance without its uncommitted images."""
        values: dict[str, Any] = {}
        for field in file_fields(instance):
            if uncommitted_file(instance, field) is None:
                values.update(image_values(instance, field))
        key = None if instance._state.adding else cls.key_of(instance)
        return cls(instance._state.db, key, values)

    @staticmethod
    def key_of(instance: Model) -> Any:
        """Return the key of an instance, also if code has set it as text."""
        return instance._meta.pk.to_python(instance.pk)

    @classmethod
    def before_form(cls, instance: Model) -> Snapshot:
        """
        Return a snapshot for a form that is made for an instance.

        It lacks each image that code has changed since the instance was loaded or saved, or that
        was saved in a transaction that is still open. ``save()`` reads these from the row.
        """
        taken = cls.take(instance)
        known = cls._values_of_row(instance)
        # Code may have set the dimensions alone.
        values = {name: known.get(name, value) for name, value in taken.values.items()}
        unsure = [
            field
            for field in file_fields(instance)
            if values.get(field.attname) != taken.values.get(field.attname)
            or any(values.get(column.attname) == _UNKNOWN for column in image_columns(field))
        ]
        return Snapshot(taken.using, taken.key, values).without(instance, unsure)

    @classmethod
    def is_as_loaded(cls, instance: Model, field: FileField) -> bool:
        """Tell whether no code has changed an image since the instance was loaded or saved."""
        name = file_name(instance.__dict__.get(field.attname))
        return cls._values_of_row(instance).get(field.attname, name) in (name, _UNKNOWN)

    @classmethod
    def _values_of_row(cls, instance: Model) -> Mapping[str, Any]:
        """Return what the row holds in the image columns, as far as the instance knows it."""
        known = cls.installed_on(instance)
        return getattr(instance._state, _LOADED, {}) if known is None else known.values

    @classmethod
    def installed_on(cls, instance: Model) -> Snapshot | None:
        """Return the snapshot of an instance that a form has saved, or None."""
        snapshot = getattr(instance._state, _SNAPSHOT, None)
        return None if snapshot is None else cls(*snapshot)

    @classmethod
    def renew(cls, instance: Model, columns: Iterable[Field[Any, Any]]) -> None:
        """Note what an instance was refreshed with from the database."""
        values = column_values(instance, columns)
        _note(instance, values)
        snapshot = cls.installed_on(instance)
        if snapshot is not None:
            snapshot.updated(values).install(instance)

    def without(self, instance: Model, fields: Iterable[FileField]) -> Snapshot:
        """Return a snapshot that lacks these fields, so that their values are read from the row."""
        unknown = {column.attname for field in fields for column in image_columns(field)}
        values = {name: value for name, value in self.values.items() if name not in unknown}
        return Snapshot(self.using, self.key, values)

    def updated(self, values: Mapping[str, Any]) -> Snapshot:
        """Return a snapshot with other values in some columns."""
        return Snapshot(self.using, self.key, {**self.values, **values})

    def install(self, instance: Model) -> None:
        """Keep this snapshot on an instance, and so on each copy of it."""
        # Without its class: a pickle in a cache may outlive this version of the package.
        setattr(instance._state, _SNAPSHOT, tuple(self))

    def is_for_row_of(self, instance: Model, using: str) -> bool:
        """Tell whether saving an instance writes the row of this snapshot."""
        if instance._state.adding or self.key is None or self.key != self.key_of(instance):
            return False
        # The instance may have been read from a replica of the database that it is written to.
        return using in (self.using, router.db_for_write(type(instance), instance=instance))

    def is_changed(self, instance: Model, field: FileField, using: str) -> bool:
        """Tell whether an instance holds an uncommitted image or another name than the snapshot."""
        if field.attname not in instance.__dict__:
            return False
        value = instance.__dict__[field.attname]
        # A file without a name is a change, too: Django refuses it.
        if isinstance(value, File):
            value = getattr(instance, field.attname)
            if not getattr(value, "_committed", True):
                return True
        now = file_name(value)
        if field.attname in self.values:
            return now != file_name(self.values[field.attname])
        # The snapshot lacks this image, so compare it with the row.
        current = current_values(field, instance, using)
        return current is None or now != file_name(current[field.attname])

    def unchanged(self, instance: Model, using: str) -> set[str]:
        """Return the names of the image columns that saving an instance can leave out."""
        names: set[str] = set()
        if not self.is_for_row_of(instance, using):
            return names
        for field in file_fields(instance):
            if self.is_changed(instance, field, using):
                continue
            # The original follows its translated field. If Django writes only the original,
            # django-modeltranslation writes its value to the active language's column as well.
            original = getattr(field, "translated_field", None)
            if original is not None:
                names.add(original.name)
            names |= {
                column.name
                for column in image_columns(field)
                if column is field or not self._is_set(instance, column, field, using)
            }
        return names

    def _is_set(
        self, instance: Model, column: Field[Any, Any], field: FileField, using: str
    ) -> bool:
        """Tell whether code has set a dimension of an unchanged image."""
        name = column.attname
        if name not in instance.__dict__:
            return False
        known = self.values if name in self.values else current_values(field, instance, using)
        return known is None or bool(instance.__dict__[name] != known[name])
