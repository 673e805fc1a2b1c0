"""Checks of the imported forms and serializers with the mixin."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error
from django.core.exceptions import FieldDoesNotExist
from django.db.models import FileField, Model
from django.forms.models import BaseModelForm

from ..fields import file_field, file_fields
from ..forms import AsyncImageFormMixin
from .discovery import (
    declared,
    is_property,
    serializers,
    target_form_fields,
    target_forms,
    written_fields,
)


def check_forms(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Each form class with the mixin names fields and options that exist, in the right order."""
    return [message for form_class in target_forms() for message in _check_form(form_class)]


def check_serializers(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Each serializer with the mixin can leave its images to a worker."""
    return [
        message
        for serializer_class, mixin, base in serializers()
        if issubclass(serializer_class, mixin)
        for message in _check_serializer(serializer_class, mixin, base)
    ]


def _check_form(form_class: type[Any]) -> Iterator[CheckMessage]:
    yield from _check_order(form_class, AsyncImageFormMixin, BaseModelForm)
    yield from _check_when(form_class)
    yield from _check_names(form_class, form_class._meta.model, form_class.base_fields)


def _check_serializer(
    serializer_class: type[Any], mixin: type[Any], base: type[Any]
) -> Iterator[CheckMessage]:
    yield from _check_order(serializer_class, mixin, base)
    yield from _check_when(serializer_class)
    written = [field.name for field in written_fields(serializer_class)]
    yield from _check_names(serializer_class, serializer_class.Meta.model, written)


def _check_order(cls: type[Any], mixin: type[Any], base: type[Any]) -> Iterator[CheckMessage]:
    order, base_name = cls.__mro__, base.__name__.removeprefix("Base")
    if order.index(base) < order.index(mixin):
        yield Error(
            f"{cls.__qualname__} has {mixin.__name__} after {base_name}, so its images are saved "
            "in the request.",
            hint=f"Write the mixin first: class {cls.__name__}({mixin.__name__}, {base_name}).",
            obj=cls,
            id="django_async_forms.E007",
        )


def _check_when(cls: type[Any]) -> Iterator[CheckMessage]:
    if cls.async_when not in ("always", "replacing") and not is_property(cls, "async_when"):
        yield Error(
            f"{cls.__qualname__}.async_when is {cls.async_when!r}.",
            hint='Set it to "always" or "replacing".',
            obj=cls,
            id="django_async_forms.E021",
        )


def _check_names(
    cls: type[Any], model: type[Model], field_names: Collection[str]
) -> Iterator[CheckMessage]:
    for attribute in ("async_fields", "hide_staged"):
        for name in declared(cls, attribute) or ():
            try:
                file_field(model, name)
            except FieldDoesNotExist as error:
                yield Error(
                    f"{cls.__qualname__}.{attribute} names {name!r}: {error}",
                    hint="Name file fields of the model only.",
                    obj=cls,
                    id="django_async_forms.E008",
                )
                continue
            # A base class may hide a field that only some of its forms have.
            if attribute == "async_fields" and name not in field_names:
                yield Error(
                    f"{cls.__qualname__}.async_fields names {name!r}, which it leaves out.",
                    hint="Add it to Meta.fields, or remove it from async_fields.",
                    obj=cls,
                    id="django_async_forms.E009",
                )


def check_translated_fields(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """
    No form saves the original of a field that django-modeltranslation translates.

    The original reads and writes the column of the active language. So a worker could not tell
    which column the form meant.
    """
    messages = [
        Error(
            f"{form_class.__qualname__} saves {field}, which django-modeltranslation translates: a "
            "worker cannot tell which language's column to write.",
            hint=f"Name the translated fields in the form, such as {translated!r}, or leave "
            f"{field.name!r} out of async_fields.",
            obj=form_class,
            id="django_async_forms.E018",
        )
        for form_class, field in target_form_fields()
        if (translated := _translation_of(field))
    ]
    return sorted(messages, key=lambda message: message.msg)


def _translation_of(field: FileField) -> str | None:
    for other in file_fields(field.model):
        if getattr(getattr(other, "translated_field", None), "name", None) == field.name:
            return other.name
    return None
