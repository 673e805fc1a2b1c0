"""Finds every class that saves images, among the imported modules, and where it saves them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from django.db import router
from django.db.models import FileField, ImageField
from django.forms.models import BaseModelForm
from django.views.generic.edit import ModelFormMixin

from ..fields import file_fields
from ..forms import AsyncImageFormMixin
from ..storage import DatabaseStorage, staging_storage
from .discovery import (
    declared,
    model_of,
    registered_admins,
    routed_views,
    serializers,
    subclasses,
    written_fields,
)


@dataclass(frozen=True)
class Use:
    """A class that saves a file field, or a class with a mixin that saves none."""

    saver: type[Any]
    field: FileField | None
    #: The form class of a form, a view or an admin.
    form_class: type[Any] | None = dataclass_field(default=None, compare=False)
    #: Why the request saves the file, or ``""`` if a worker does.
    reason: str = ""

    @property
    def saver_name(self) -> str:
        """The dotted path of the class."""
        return f"{self.saver.__module__}.{self.saver.__qualname__}"

    @property
    def only_replaces(self) -> bool:
        """Whether a worker saves only an image that replaces one."""
        return getattr(self.form_class or self.saver, "async_when", "always") == "replacing"


def uses() -> list[Use]:
    """Return what saves images: forms, the admin, views and serializers, by field and name."""
    # The URLs import the project's views, which import its forms and serializers.
    routed = list(routed_views())
    found = {
        *_uses_of_forms(),
        *_uses_of_admins(),
        *_uses_of_views(routed),
        *_uses_of_serializers(),
    }
    # A form to which a view or the admin adds the mixin is what those are listed for.
    adopted = {
        base
        for use in found
        if use.form_class not in (None, use.saver) and not use.reason
        for base in use.form_class.__mro__
    }
    listed = [use for use in found if not use.reason or use.saver not in adopted]
    return sorted(listed, key=lambda use: (str(use.field or "~"), use.saver_name))


def storages_of(field: FileField) -> tuple[str, str]:
    """Return what a worker's file goes through: the staging storage and the final one."""
    using = router.db_for_write(field.model)
    staging = staging_storage(using)
    staged_in = type(staging).__name__
    if isinstance(staging, DatabaseStorage):
        staged_in += f" in the database {staging.using or using!r}"
    # A lazy storage tells the class of the one that it stands for.
    return staged_in, field.storage.__class__.__name__


def _is_of_project(cls: type[Any]) -> bool:
    """Tell whether a class is neither Django's, such as one that a factory makes, nor ours."""
    return not cls.__module__.startswith(("django.", "django_async_forms.", "rest_framework."))


def _reason(mixin: type[Any], saver: type[Any], field: FileField, base: type[Any]) -> str:
    """Return why a form or serializer saves a field in the request, or ``""``."""
    order = saver.__mro__
    if mixin not in order:
        return f"it has no {mixin.__name__}"
    if order.index(base) < order.index(mixin):
        return f"{mixin.__name__} comes after {base.__name__.removeprefix('Base')}"
    names: Collection[str] | None = declared(saver, "async_fields")
    if names is not None and field.name not in names:
        return "async_fields does not name it"
    if names is None and not isinstance(field, ImageField):
        return "it is not an image, and async_fields does not name it"
    return ""


def _uses(saver: type[Any], form_class: type[Any], fields: Iterable[FileField]) -> Iterator[Use]:
    """Yield the uses of a class whose form saves these fields."""
    found = False
    for field in fields:
        found = True
        reason = _reason(AsyncImageFormMixin, form_class, field, BaseModelForm)
        yield Use(saver, field, form_class, reason)
    if not found and saver is form_class and issubclass(form_class, AsyncImageFormMixin):
        yield Use(saver, None, form_class)


def _uses_of_forms() -> Iterator[Use]:
    for form_class in subclasses(BaseModelForm):
        model = model_of(form_class)
        if _is_of_project(form_class) and model is not None:
            names = form_class.base_fields
            yield from _uses(
                form_class,
                form_class,
                [field for field in file_fields(model) if field.name in names],
            )


def _uses_of_admins() -> Iterator[Use]:
    for model_admin, model in registered_admins():
        names = _flat(model_admin.fields or ())
        for _title, options in model_admin.fieldsets or ():
            names += _flat(options["fields"])
        left_out = {*(model_admin.exclude or ()), *model_admin.readonly_fields}
        fields = [
            field
            for field in file_fields(model)
            if field.editable and field.name not in left_out and (not names or field.name in names)
        ]
        yield from _uses(type(model_admin), model_admin.form, fields)


def _flat(names: Iterable[Any]) -> list[str]:
    """Return the names of ``fields``, of which those in one line are in a tuple."""
    return [name for each in names for name in ([each] if isinstance(each, str) else each)]


def _uses_of_views(routed: Iterable[tuple[type[Any], dict[str, Any]]]) -> Iterator[Use]:
    views: list[tuple[type[Any], dict[str, Any]]]
    views = [(view, {}) for view in subclasses(ModelFormMixin) if _is_of_project(view)]
    for view_class, arguments in [*views, *routed]:
        if not issubclass(view_class, ModelFormMixin):
            continue
        form_class = _form_of_view(view_class, arguments)
        model = None if form_class is None else model_of(form_class)
        if form_class is not None and model is not None:
            names = form_class.base_fields
            fields = [field for field in file_fields(model) if field.name in names]
            yield from _uses(view_class, form_class, fields)


def _form_of_view(view_class: type[Any], arguments: dict[str, Any]) -> Any:
    """Return the form class as the view makes it, or None if it needs a request for that."""
    try:
        view: Any = view_class(**arguments)
        view.object = None
        return view.get_form_class()
    except Exception:  # The view is the project's, and may raise anything.
        return None


def _uses_of_serializers() -> Iterator[Use]:
    for serializer_class, mixin, base in serializers():
        if not _is_of_project(serializer_class):
            continue
        written = written_fields(serializer_class)
        for field in written:
            yield Use(serializer_class, field, reason=_reason(mixin, serializer_class, field, base))
        if not written and issubclass(serializer_class, mixin):
            yield Use(serializer_class, None)
