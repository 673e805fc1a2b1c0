"""The file fields of a model, and the rows that they are in."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.core.files.base import File
from django.db import connections
from django.db.models import Field, FileField, Model
from django.db.models.fields.files import FieldFile


def file_fields(model: type[Model] | Model) -> list[FileField]:
    """Return the file fields of a model, its parents' included."""
    return [field for field in model._meta.concrete_fields if isinstance(field, FileField)]


def file_field(model: type[Model], name: str) -> FileField:
    """Return a file field by name. Raises ``FieldDoesNotExist`` if there is none of that name."""
    for field in file_fields(model):
        if field.name == name:
            return field
    names = ", ".join(field.name for field in file_fields(model)) or "none"
    raise FieldDoesNotExist(
        f"{model._meta.label} has no file field {name!r}. Its file fields: {names}."
    )


def image_columns(field: FileField) -> list[Field[Any, Any]]:
    """Return what an image is in the row: its field, and its width and height if it has them."""
    names = {getattr(field, "width_field", None), getattr(field, "height_field", None)}
    measures = [column for column in field.model._meta.concrete_fields if column.name in names]
    return [field, *measures]


def uncommitted_file(instance: Model, field: FileField) -> FieldFile | None:
    """Return the file that saving the instance would store for a field, if there is one."""
    if not isinstance(instance.__dict__.get(field.attname), File):
        return None
    file: FieldFile = getattr(instance, field.attname)
    return file if file and not getattr(file, "_committed", True) else None


def key_from_text(model: type[Model], text: str) -> Any:
    """
    Return a primary key as instances have it, from the text that the journal keeps.

    Raises ``ValidationError`` for what is no key of the model.
    """
    value = model._meta.pk.to_python(text)
    # A key of several columns comes as a list, and is found as a tuple.
    return tuple(value) if type(value) is list else value


def lock_instance(fields: Iterable[FileField], instance: Model, using: str) -> None:
    """
    Hold the rows with ``fields`` of ``instance`` until the transaction that is open ends.

    Every path locks in this order: the instance, then its uploads. SQLite has no row locks; the
    first write of a transaction locks all of it there, and reading first could have that write
    refused as "database is locked".
    """
    if not connections[using].features.has_select_for_update:
        return
    for owner in sorted({field.model for field in fields}, key=lambda model: model._meta.label):
        primary_key = owner._meta.pk
        value = primary_key.value_from_object(instance)
        rows = owner._base_manager.using(using).filter(**{primary_key.name: value})
        rows.select_for_update().values_list(primary_key.name).first()


@cache
def labels_sharing(owner: type[Model]) -> list[str]:
    """Return the labels of all models whose instances have a row of ``owner``'s table."""
    return [model._meta.label_lower for model in apps.get_models() if issubclass(model, owner)]
