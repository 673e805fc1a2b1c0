"""The file fields of a model, the columns of an image, and the rows that hold them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.core.files.base import File
from django.db import connections, router
from django.db.models import Field, FileField, Model, QuerySet
from django.db.models.fields.files import FieldFile
from django.utils.functional import LazyObject


def unwrapped(value: Any) -> Any:
    """Return the object behind a lazy one, such as ``request.user``, or the object itself."""
    while isinstance(value, LazyObject):
        value.__class__  # noqa: B018  # This sets the object up.
        value = value._wrapped
    return value


def all_file_fields(model: type[Model]) -> list[FileField]:
    """Return the file fields of a model, originals of translated fields included."""
    return [field for field in model._meta.concrete_fields if isinstance(field, FileField)]


def file_fields(model: type[Model] | Model) -> list[FileField]:
    """
    Return the file fields of a model and of its parents.

    The original of a field that django-modeltranslation translates is left out: its attribute reads
    and writes the field of the active language.
    """
    model = model if isinstance(model, type) else type(model)
    fields = all_file_fields(model)
    translated = {
        original.name
        for field in fields
        if (original := getattr(field, "translated_field", None)) is not None
    }
    return [field for field in fields if field.name not in translated]


def file_field(model: type[Model], name: str) -> FileField:
    """Return a file field by name. Raises ``FieldDoesNotExist`` if the model lacks it."""
    fields = all_file_fields(model)
    for field in fields:
        if field.name == name:
            return field
    names = ", ".join(field.name for field in fields) or "none"
    raise FieldDoesNotExist(
        f"{model._meta.label} has no file field {name!r}. Its file fields: {names}."
    )


def image_columns(field: FileField) -> list[Field[Any, Any]]:
    """Return the columns of an image: its field, and its dimension fields if it has them."""
    names = {getattr(field, "width_field", None), getattr(field, "height_field", None)}
    dimensions = [column for column in field.model._meta.concrete_fields if column.name in names]
    return [field, *dimensions]


def image_values(instance: Model, field: FileField) -> dict[str, Any]:
    """Return the values of an instance for the columns of an image, as ``column_values()`` does."""
    return column_values(instance, image_columns(field))


def column_values(instance: Model, columns: Iterable[Field[Any, Any]]) -> dict[str, Any]:
    """
    Return the values of an instance for some columns, by attribute name.

    The value of a file is its name, because a ``FieldFile`` changes in place and refers to its
    instance. Deferred columns are left out, and so are columns that hold an expression.
    """
    values = instance.__dict__
    return {
        column.attname: file_name(values[column.attname])
        if isinstance(column, FileField)
        else values[column.attname]
        for column in columns
        if column.attname in values and not hasattr(values[column.attname], "resolve_expression")
    }


def file_name(value: Any) -> str:
    """Return the name of a file as its column holds it: a file field stores ``""`` for ``None``."""
    return str(getattr(value, "name", value) or "")


def files_in(value: Any) -> list[File[Any]]:
    """
    Return the new files in a form field's value, which is a sequence for a field of several inputs.

    An example is an image with its point of interest. The unchanged files of an instance are not
    among them.
    """
    values = value if isinstance(value, (list, tuple)) else [value]
    return [file for file in values if isinstance(file, File) and not isinstance(file, FieldFile)]


def uncommitted_file(instance: Model, field: FileField) -> FieldFile | None:
    """Return the file that saving the instance would store for a field, if there is one."""
    if not isinstance(instance.__dict__.get(field.attname), File):
        return None
    file: FieldFile = getattr(instance, field.attname)
    return file if file and not getattr(file, "_committed", True) else None


def as_text(field: Field[Any, Any], value: Any) -> str:
    """
    Return a column's value as text, which is equal for equal values.

    Values cannot be compared directly: objects change in place, arrays compare element by element,
    and a form sets values of other types than the database returns.
    """
    if hasattr(value, "resolve_expression"):
        return f"an expression: {value!r}"
    if isinstance(field, FileField):
        return file_name(value)
    value = field.get_prep_value(value)
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, sort_keys=True, default=str)
    if isinstance(value, memoryview):
        value = bytes(value)
    # The repr() of a geometry is its address in memory. None is not the text "None".
    return repr(value) if isinstance(value, (str, bytes)) else str(value)


def rows(model: type[Model], using: str) -> QuerySet[Any]:
    """Return a query for all rows of a model, including those that its managers hide."""
    return QuerySet(model, using=using)


def row_of(field: FileField, instance: Model, using: str) -> QuerySet[Any]:
    """Return a query for the row that holds an image. A parent's field is in the parent's row."""
    owner = field.model
    return rows(owner, using).filter(pk=owner._meta.pk.value_from_object(instance))


def current_values(field: FileField, instance: Model, using: str) -> dict[str, Any] | None:
    """Return the values of a row for the columns of an image, or None if the row does not exist."""
    names = [column.attname for column in image_columns(field)]
    values: dict[str, Any] | None = row_of(field, instance, using).values(*names).first()
    return values


def key_text(field: FileField, instance: Model) -> str:
    """
    Return the primary key of the row that holds an image, as text for the outbox.

    The text is the same for a loaded key and for a key that was set as text, such as
    ``uuid4().hex`` or a value from a client.
    """
    key = field.model._meta.pk
    value = key.to_python(key.value_from_object(instance))
    if isinstance(value, (list, tuple)):  # Each field of a composite key converts its own value.
        columns = key.fields  # type: ignore[attr-defined]
        value = tuple(column.to_python(item) for column, item in zip(columns, value, strict=True))
    while key.remote_field:  # A relation would return str() of the value.
        key = key.target_field  # type: ignore[attr-defined]
    holder: Any = SimpleNamespace(**{key.attname: value})
    return key.value_to_string(holder)


def key_from_text(model: type[Model], text: str) -> Any:
    """
    Return a primary key as instances have it, from its text in the outbox.

    Raises ``ValidationError`` for text that is not a key of the model.
    """
    value = model._meta.pk.to_python(text)
    # A key of several columns is a list here, and queries need a tuple.
    return tuple(value) if type(value) is list else value


def expected_database(instance: Model) -> str:
    """
    Return the database that an instance will probably be written to.

    A router may answer differently, or raise, until a form has filled in a new instance. Plain
    Django does not ask it before.
    """
    model = type(instance)
    try:
        return str(router.db_for_write(model, instance=instance))
    except Exception:
        if not instance._state.adding:
            raise
        # As create() asks. The save asks with the instance again, and raises what that raises.
        return str(router.db_for_write(model))


def lock_row(field: FileField, instance: Model, using: str) -> None:
    """
    Lock the row of an image until the open transaction ends.

    Every path locks the instance first, then its uploads. Where the database has a weak enough
    lock, other transactions can still insert rows that refer to the instance. SQLite has no row
    locks: the first write of a transaction locks the whole database, and a read before that write
    could make it fail as "database is locked".
    """
    if connections[using].features.has_select_for_update:
        row = row_of(field, instance, using).values_list("pk")
        for_update(row).first()


def for_update(queryset: QuerySet[Any]) -> QuerySet[Any]:
    """Lock the rows of a query, with the weakest lock that stops others from changing them."""
    features = connections[queryset.db].features
    if not features.has_select_for_update:
        return queryset
    return queryset.select_for_update(no_key=features.has_select_for_no_key_update)


def outbox_name(using: str) -> str:
    """
    Return the name of the outbox of a database. Its staged files and its tokens contain the name.

    It is the alias of the database. With django-tenants, the connection's schema follows.
    """
    schema = getattr(connections[using], "schema_name", None) if using in connections else None
    return using if schema is None else f"{using}.{schema}"


class Target(NamedTuple):
    """The field of one row that an image is for. A parent's field is in the parent's row."""

    model: str
    object_pk: str
    field_name: str
    using: str

    @classmethod
    def of(cls, instance: Model, field: FileField) -> Target:
        """Return the target for a field of an instance, in the database it is written to."""
        using = router.db_for_write(type(instance), instance=instance)
        return cls(field.model._meta.label_lower, key_text(field, instance), field.name, using)

    def get_field(self) -> FileField:
        """Return the model's field. Raises ``LookupError`` or ``FieldDoesNotExist``."""
        return file_field(apps.get_model(self.model), self.field_name)


@cache
def labels_sharing(owner: type[Model]) -> list[str]:
    """Return the labels of all models whose instances have a row of ``owner``'s table."""
    return [model._meta.label_lower for model in apps.get_models() if issubclass(model, owner)]
