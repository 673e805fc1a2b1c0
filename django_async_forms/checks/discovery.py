"""Finds the forms, models and fields whose images a worker saves, in the imported modules."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import router
from django.db.models import FileField, ImageField, Model
from django.forms.models import BaseModelForm

from ..fields import all_file_fields, file_fields
from ..forms import AsyncImageFormMixin, AsyncImageModelForm
from ..views import AsyncImageViewMixin


@dataclass(frozen=True)
class _Found:
    """A form class for a model, and the names of its fields; ``None`` stands for all fields."""

    model: type[Model]
    form_class: type[Any]
    field_names: Collection[str] | None

    def has(self, field: FileField) -> bool:
        """Tell whether the form leaves this field to a worker."""
        if self.field_names is not None and field.name not in self.field_names:
            return False
        names: Sequence[str] | None = getattr(self.form_class, "async_fields", None)
        return isinstance(field, ImageField) if names is None else field.name in names


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


def _forms_of_admins() -> Iterator[_Found]:
    if not apps.is_installed("django.contrib.admin"):
        return
    from django.contrib.admin.sites import all_sites

    for site in all_sites:
        for model, model_admin in site._registry.items():
            yield _form_of_admin(model_admin, model)
            for inline_class in model_admin.inlines:
                inline = inline_class(model, site)  # This may put the mixin on its form.
                yield _form_of_admin(inline, inline.model)


def _form_of_admin(model_admin: Any, model: type[Model]) -> _Found:
    names = model_admin.fields
    # The admin of django-modeltranslation replaces original fields by their translated ones.
    if hasattr(model_admin, "replace_orig_field"):
        names = names or [field.name for field in model._meta.fields]
        names = model_admin.replace_orig_field(names)
    return _Found(model, model_admin.form, _limit(names))


def _forms_of_views() -> Iterator[_Found]:
    for view in subclasses(AsyncImageViewMixin):
        form_class = getattr(view, "form_class", None) or AsyncImageModelForm
        sources: tuple[Any, ...] = (
            view,
            getattr(view, "queryset", None),
            getattr(form_class, "_meta", None),
        )
        models = filter(None, (getattr(source, "model", None) for source in sources))
        for model in list(models)[:1]:
            names = getattr(view, "fields", None) or form_class.base_fields
            yield _Found(model, form_class, _limit(names))


def _limit(names: Any) -> Collection[str] | None:
    return None if not names or names == "__all__" else names


def _forms() -> Iterator[_Found]:
    for form_class in target_forms():
        yield _Found(form_class._meta.model, form_class, _limit(form_class.base_fields))
    for found in _forms_of_admins():
        if issubclass(found.form_class, AsyncImageFormMixin):
            yield found
    yield from _forms_of_views()


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
