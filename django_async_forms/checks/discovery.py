"""Finds the forms, models and fields whose images a worker saves, in the imported modules."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import router
from django.db.models import FileField, ImageField, Model
from django.forms.models import BaseModelForm
from django.urls import URLPattern, get_resolver

from ..fields import all_file_fields, file_fields
from ..forms import AsyncImageFormMixin, AsyncImageModelForm
from ..views import AsyncImageViewMixin


@dataclass(frozen=True)
class _Found:
    """A form or serializer for a model, and the fields it is limited to: ``None`` means all."""

    model: type[Model]
    form_class: type[Any]
    field_names: Collection[str] | None

    def has(self, field: FileField) -> bool:
        """Tell whether the form leaves this field to a worker."""
        if self.field_names is not None and field.name not in self.field_names:
            return False
        names: Sequence[str] | None = declared(self.form_class, "async_fields")
        return isinstance(field, ImageField) if names is None else field.name in names


def declared(cls: type[Any], name: str) -> Any:
    """Return an attribute of a class, or None for a property, whose value only an instance has."""
    return None if is_property(cls, name) else getattr(cls, name, None)


def is_property(cls: type[Any], name: str) -> bool:
    """Tell whether only an instance of a class has the value of an attribute."""
    return hasattr(type(getattr(cls, name, None)), "__get__")


def subclasses(cls: type[Any]) -> list[type[Any]]:
    """Return the subclasses of ``cls`` that projects have written, as far as they are imported."""
    found: dict[type[Any], None] = {}
    for subclass in cls.__subclasses__():
        if not subclass.__module__.startswith("django_async_forms."):
            found[subclass] = None
        found.update(dict.fromkeys(subclasses(subclass)))
    return list(found)


def target_forms() -> Iterator[type[Any]]:
    """Yield the form classes with the mixin that projects have written."""
    for form_class in subclasses(AsyncImageFormMixin):
        if model_of(form_class) is not None:
            yield form_class


def model_of(form_class: type[Any]) -> type[Model] | None:
    """Return the model of a form class. A base of a library may lack Django's metaclass."""
    model: type[Model] | None = getattr(getattr(form_class, "_meta", None), "model", None)
    return model if issubclass(form_class, BaseModelForm) else None


def routed_views(
    patterns: Iterable[Any] | None = None,
) -> Iterator[tuple[type[Any], dict[str, Any]]]:
    """Yield the classes of the views in the URLs, with the arguments of ``as_view()``."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLPattern):
            view_class = getattr(pattern.callback, "view_class", None)
            if isinstance(view_class, type):
                yield view_class, getattr(pattern.callback, "view_initkwargs", {})
        else:
            yield from routed_views(pattern.url_patterns)


def registered_admins() -> Iterator[tuple[Any, type[Model]]]:
    """Yield the registered classes of the admin and their inlines, each with its model."""
    if not apps.is_installed("django.contrib.admin"):
        return
    from django.contrib.admin.sites import all_sites

    for site in all_sites:
        for model, model_admin in site._registry.items():
            yield model_admin, model
            for inline_class in model_admin.inlines:
                inline = inline_class(model, site)  # This may put the mixin on its form.
                yield inline, inline.model


def _form_of_admin(model_admin: Any, model: type[Model]) -> _Found:
    names = model_admin.fields
    # The admin of django-modeltranslation replaces original fields by their translated ones.
    if hasattr(model_admin, "replace_orig_field"):
        names = names or [field.name for field in model._meta.fields]
        names = model_admin.replace_orig_field(names)
    return _Found(model, model_admin.form, _limit(names))


def _forms_of_views() -> Iterator[_Found]:
    for view in subclasses(AsyncImageViewMixin):
        form_class = declared(view, "form_class") or AsyncImageModelForm
        sources: tuple[Any, ...] = (
            declared(view, "model"),
            getattr(declared(view, "queryset"), "model", None),
            getattr(getattr(form_class, "_meta", None), "model", None),
        )
        for model in list(filter(None, sources))[:1]:
            names = declared(view, "fields") or form_class.base_fields
            yield _Found(model, form_class, _limit(names))


def serializers() -> Iterator[tuple[type[Any], type[Any], type[Any]]]:
    """Yield the ModelSerializers that projects have written, each with the mixin and its base."""
    # Without the extra, nothing has imported it.
    module = sys.modules.get("rest_framework.serializers")
    if module is None:
        return
    from ..rest_framework import AsyncImageSerializerMixin

    for serializer_class in subclasses(module.ModelSerializer):
        if getattr(getattr(serializer_class, "Meta", None), "model", None) is not None:
            yield serializer_class, AsyncImageSerializerMixin, module.ModelSerializer


def written_fields(serializer_class: type[Any]) -> list[FileField]:
    """Return the model's file fields that a serializer writes."""
    named = {field.name: field for field in all_file_fields(serializer_class.Meta.model)}
    try:
        fields = serializer_class().fields.values()
    except Exception:
        # A base class without fields, or one whose fields depend on a request.
        return []
    return [
        named[field.source] for field in fields if field.source in named and not field.read_only
    ]


def _fields_of_serializers() -> Iterator[_Found]:
    for serializer_class, mixin, _base in serializers():
        if issubclass(serializer_class, mixin):
            names = [field.name for field in written_fields(serializer_class)]
            yield _Found(serializer_class.Meta.model, serializer_class, names)


def _limit(names: Any) -> Collection[str] | None:
    return None if not names or names == "__all__" else names


def _forms() -> Iterator[_Found]:
    for form_class in target_forms():
        yield _Found(form_class._meta.model, form_class, _limit(form_class.base_fields))
    for found in (_form_of_admin(*registered) for registered in registered_admins()):
        if issubclass(found.form_class, AsyncImageFormMixin):
            yield found
    yield from _forms_of_views()
    yield from _fields_of_serializers()


def target_fields() -> set[FileField]:
    """Return the file fields that a worker saves."""
    fields = {field for _form_class, field in target_form_fields()}
    return {field for field in fields if field in file_fields(field.model)}


def target_form_fields() -> set[tuple[type[Any], FileField]]:
    """Return the file fields that a worker saves, each with a form class that has it."""
    return {
        (found.form_class, field)
        for found in _forms()
        for field in all_file_fields(found.model)
        if found.has(field)
    }


def target_models() -> list[tuple[str, type[Model]]]:
    """Return the models whose images a worker saves, each with the database it is written to."""
    models = dict.fromkeys(found.model for found in _forms())
    return [(router.db_for_write(model), model) for model in models]
