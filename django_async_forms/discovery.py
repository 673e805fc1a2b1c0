"""The forms, models and fields whose images a worker saves, as far as they are imported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import apps
from django.db import router
from django.db.models import FileField, ImageField, Model
from django.forms.models import BaseModelForm

from .fields import all_file_fields, file_fields
from .forms import AsyncImageFormMixin, AsyncImageModelForm
from .views import AsyncImageViewMixin


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
        if issubclass(form_class, BaseModelForm) and form_class._meta.model:
            yield form_class


def _admin_forms() -> Iterator[tuple[type[Model], type[Any], Any]]:
    if not apps.is_installed("django.contrib.admin"):
        return
    from django.contrib.admin.sites import all_sites

    for site in all_sites:
        for model, model_admin in site._registry.items():
            yield model, model_admin.form, _names_of_admin(model_admin, model)
            for inline_class in model_admin.inlines:
                inline = inline_class(model, site)  # Which may have put the mixin on its form.
                yield inline.model, inline.form, _names_of_admin(inline, inline.model)


def _names_of_admin(model_admin: Any, model: type[Model]) -> Any:
    # The admin of django-modeltranslation has the translated fields in place of their originals.
    if hasattr(model_admin, "replace_orig_field"):
        names = model_admin.fields or [field.name for field in model._meta.fields]
        return model_admin.replace_orig_field(names)
    return model_admin.fields


def _models_and_forms() -> Iterator[tuple[type[Model], type[Any], Any]]:
    """
    Yield the models whose images are saved later, as far as they are imported, each with its form
    class and the names of the fields that the form is limited to, if it is.
    """
    for form_class in target_forms():
        yield form_class._meta.model, form_class, form_class.base_fields
    for model, form_class, names in _admin_forms():
        if issubclass(form_class, AsyncImageFormMixin):
            yield model, form_class, names
    for view in subclasses(AsyncImageViewMixin):
        form_class = getattr(view, "form_class", None) or AsyncImageModelForm
        sources: tuple[Any, ...] = (
            view,
            getattr(view, "queryset", None),
            getattr(form_class, "_meta", None),
        )
        models = filter(None, (getattr(source, "model", None) for source in sources))
        for model in list(models)[:1]:
            yield model, form_class, getattr(view, "fields", None) or form_class.base_fields


def target_fields() -> set[FileField]:
    """Return the file fields that a worker saves."""
    fields = {field for _form_class, field in target_form_fields()}
    return {field for field in fields if field in file_fields(field.model)}


def target_form_fields() -> set[tuple[type[Any], FileField]]:
    """Return the file fields that a worker saves, each with a form class that has it so."""
    return {
        (form_class, field)
        for model, form_class, limit in _models_and_forms()
        for field in all_file_fields(model)
        if (not limit or limit == "__all__" or field.name in limit)
        and _is_async(field, getattr(form_class, "async_fields", None))
    }


def _is_async(field: FileField, names: Sequence[str] | None) -> bool:
    return isinstance(field, ImageField) if names is None else field.name in names


def target_models() -> list[tuple[str, type[Model]]]:
    """Return the databases and models whose images a worker saves."""
    models = dict.fromkeys(model for model, _form_class, _limit in _models_and_forms())
    return [(router.db_for_write(model), model) for model in models]
