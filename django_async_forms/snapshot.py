"""
Notes which images an instance holds, on the instance itself, so that changes can be told later.

Each instance has the names that it was loaded or saved with. After a form, it also has a
``Snapshot`` of its image columns, so that the next save can leave out unchanged columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from django.db import connections, router
from django.db.models import FileField, Model

from .fields import (
    current_values,
    file_fields,
    file_name,
    image_columns,
    image_values,
    uncommitted_file,
)

# Both are attributes of ``instance._state``, which is copied and pickled with the instance. A copy
# may be saved after a worker has attached the image.

#: The attribute for a ``Snapshot``.
_SNAPSHOT = "async_forms_snapshot"
#: The attribute for the names that the instance was loaded or saved with, by field.
_LOADED = "async_forms_loaded"
#: Stands for a name that was saved in an open transaction, which may still roll back.
_UNKNOWN = "\0"


def note_loaded(instance: Model, attnames: Iterable[str]) -> None:
    """Note the names of the images that an instance was loaded with, before code changes them."""
    values = instance.__dict__
    names = {name: file_name(values[name]) for name in attnames if name in values}
    setattr(instance._state, _LOADED, names)


def note_saved(instance: Model, fields: Iterable[FileField], using: str) -> None:
    """Note the names of the images that an instance was saved with."""
    is_open = connections[using].in_atomic_block
    _note(
        instance,
        {
            field.attname: _UNKNOWN if is_open else file_name(instance.__dict__.get(field.attname))
            for field in fields
        },
    )


def _note(instance: Model, names: Mapping[str, str]) -> None:
    state = vars(instance._state)
    state[_LOADED] = {**state.get(_LOADED, {}), **names}


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
        names = cls._names_of_row(instance)
        unsure = [
            field
            for field in file_fields(instance)
            if field.attname in names
            and names[field.attname] != taken.values.get(field.attname, names[field.attname])
        ]
        return taken.without(instance, unsure)

    @classmethod
    def is_as_loaded(cls, instance: Model, field: FileField) -> bool:
        """Tell whether no code has changed an image since the instance was loaded or saved."""
        name = file_name(instance.__dict__.get(field.attname))
        return cls._names_of_row(instance).get(field.attname, name) in (name, _UNKNOWN)

    @classmethod
    def _names_of_row(cls, instance: Model) -> dict[str, str]:
        """Return the names that the row holds, as far as the instance knows them."""
        known = cls.installed_on(instance)
        names: dict[str, str] = getattr(instance._state, _LOADED, {})
        if known is None:
            return names
        return {
            field.attname: file_name(known.values[field.attname])
            for field in file_fields(instance)
            if field.attname in known.values
        }

    @classmethod
    def installed_on(cls, instance: Model) -> Snapshot | None:
        """Return the snapshot of an instance that a form has saved, or None."""
        snapshot: Snapshot | None = getattr(instance._state, _SNAPSHOT, None)
        return snapshot

    @classmethod
    def renew(cls, instance: Model, fields: Iterable[FileField]) -> None:
        """Note the images of an instance that was refreshed from the database."""
        _note(instance, {f.attname: file_name(instance.__dict__.get(f.attname)) for f in fields})
        snapshot = cls.installed_on(instance)
        if snapshot is not None:
            snapshot.with_values_of(instance, fields).install(instance)

    def without(self, instance: Model, fields: Iterable[FileField]) -> Snapshot:
        """Return a snapshot that lacks these fields, so that their values are read from the row."""
        unknown = {column.attname for field in fields for column in image_columns(field)}
        values = {name: value for name, value in self.values.items() if name not in unknown}
        return Snapshot(self.using, self.key, values)

    def with_values_of(self, instance: Model, fields: Iterable[FileField]) -> Snapshot:
        """Return a snapshot with an instance's values of these fields."""
        values = dict(self.values)
        for field in fields:
            values.update(image_values(instance, field))
        return Snapshot(self.using, self.key, values)

    def install(self, instance: Model) -> None:
        """Keep this snapshot on an instance, and so on each copy of it."""
        setattr(instance._state, _SNAPSHOT, self)

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
        if uncommitted_file(instance, field) is not None:
            return True
        now = file_name(instance.__dict__[field.attname])
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
            values = instance.__dict__
            names |= {
                column.name
                for column in image_columns(field)
                if column is field
                or column.attname not in values
                or values[column.attname] == self.values.get(column.attname, values[column.attname])
            }
        return names
