"""Checks of the form classes with the mixin, as far as they are imported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import FieldDoesNotExist
from django.db.models import FileField
from django.forms.models import BaseModelForm

from ..fields import file_field, file_fields
from ..forms import AsyncImageFormMixin
from .discovery import target_form_fields, target_forms


@register()
def check_forms(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Each form class with the mixin names fields and options that exist, in the right order."""
    return [message for form_class in target_forms() for message in _check_form(form_class)]


def _check_form(form_class: type[Any]) -> Iterator[CheckMessage]:
    order = form_class.__mro__
    if order.index(BaseModelForm) < order.index(AsyncImageFormMixin):
        yield Error(
            f"{form_class.__qualname__} has AsyncImageFormMixin after ModelForm, so its images are "
            "saved in the request.",
            hint="Write the mixin first: class MyForm(AsyncImageFormMixin, ModelForm).",
            obj=form_class,
            id="django_async_forms.E007",
        )
    if form_class.async_when not in ("always", "replacing"):
        yield Error(
            f"{form_class.__qualname__}.async_when is {form_class.async_when!r}.",
            hint='Set it to "always" or "replacing".',
            obj=form_class,
            id="django_async_forms.E021",
        )
    model = form_class._meta.model
    for name in form_class.async_fields or ():
        try:
            file_field(model, name)
        except FieldDoesNotExist as error:
            yield Error(
                f"{form_class.__qualname__}.async_fields names {name!r}: {error}",
                hint="Name file fields of the model only.",
                obj=form_class,
                id="django_async_forms.E008",
            )
            continue
        if name not in form_class.base_fields:
            yield Error(
                f"{form_class.__qualname__}.async_fields names {name!r}, which the form leaves "
                "out.",
                hint="Add it to Meta.fields, or remove it from async_fields.",
                obj=form_class,
                id="django_async_forms.E009",
            )


@register()
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
