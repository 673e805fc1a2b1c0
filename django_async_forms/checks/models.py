"""Checks that the columns of a model can be filled later, and that its key fits the outbox."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Warning
from django.db.models import CharField, Model, TextField

from ..models import Upload
from .discovery import target_fields


def check_unique_fields(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """No image that a worker saves is unique, because it is empty until then."""
    return [
        Error(
            f"{field} is unique, but it is empty until a worker has saved it. Two instances "
            "cannot both be empty.",
            hint="Remove unique=True: a storage gives each file its own name.",
            obj=field,
            id="django_async_forms.E010",
        )
        for field in sorted(target_fields(), key=str)
        if field.unique
    ]


def check_constraints(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """No constraint uses an image that a worker saves, because it would be checked too early."""
    return [
        Warning(
            f"{constraint} uses {field}, which is empty or has the old image until a worker has "
            "saved the new one.",
            hint="Remove the constraint, or leave the field out of the form's async_fields.",
            obj=field.model,
            id="django_async_forms.W017",
        )
        for field in sorted(target_fields(), key=str)
        for constraint, names in _constraints(field.model)
        if field.name in names
    ]


def _constraints(model: Any) -> Iterator[tuple[str, set[str]]]:
    """Return each constraint of a model, in words, with the names of the fields that it uses."""
    for constraint in model._meta.constraints:
        names = set(getattr(constraint, "fields", ()))
        parts = [getattr(constraint, "condition", None), *getattr(constraint, "expressions", ())]
        for part in parts:
            names.update(name for name, *_ in model._get_expr_references(part))
        yield f"The constraint {constraint.name!r}", names
    for together in model._meta.unique_together:
        yield f"The unique_together of {' and '.join(map(repr, together))}", set(together)


def check_primary_keys(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Each primary key fits, as text, into its column of the outbox."""
    models = {field.model for field in target_fields()}
    return [
        message
        for model in sorted(models, key=lambda model: model._meta.label)
        for message in _check_primary_key(model)
    ]


def _check_primary_key(model: type[Model]) -> Iterator[CheckMessage]:
    most: int = Upload._meta.get_field("object_pk").max_length or 0
    # The outbox keeps a key of several columns as one text.
    columns = [_column_of(field) for field in getattr(model._meta.pk, "fields", [model._meta.pk])]
    texts = [field for field in columns if isinstance(field, (CharField, TextField))]
    length = sum(field.max_length or 0 for field in texts)
    if any(isinstance(field, TextField) or field.max_length is None for field in texts):
        yield Warning(
            f"The primary key of {model._meta.label} is text of any length, but an upload keeps at "
            f"most {most} characters. An instance with a longer key cannot be saved with an image.",
            hint=f"Use a CharField with a max_length of at most {most}, or validate the length.",
            obj=model,
            id="django_async_forms.W020",
        )
    elif length > most:
        yield Error(
            f"The primary key of {model._meta.label} has up to {length} characters, but an "
            f"upload keeps at most {most}.",
            hint=f"Set its max_length to at most {most}, or leave the model's images out of "
            "async_fields.",
            obj=model,
            id="django_async_forms.E019",
        )


def _column_of(field: Any) -> Any:
    while field.remote_field:
        field = field.target_field
    return field
