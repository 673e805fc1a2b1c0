"""Signs grants, with which a page sends drafts, and tokens, with which a form claims them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from django import forms
from django.apps import apps
from django.core import signing
from django.core.exceptions import FieldDoesNotExist
from django.db import connections
from django.db.models import FileField
from django.utils.module_loading import import_string

from .conf import conf
from .fields import file_field, outbox_name

_GRANT = "django_async_forms.grant"
_DRAFT = "django_async_forms.draft"


class FieldPath(NamedTuple):
    """Where a form field is declared, so that another process finds it."""

    #: The dotted path of a form class that has the field, or "" if no module has it.
    form: str
    name: str
    #: The dotted path of the field's class.
    field_class: str

    @classmethod
    def of(cls, form_class: type[Any] | None, name: str, form_field: forms.Field) -> FieldPath:
        """Return the path of a field in the nearest class that can be imported by its name."""
        path = "" if form_class is None else _importable(form_class, name)
        return cls(path, name, _dotted(type(form_field)))

    def get_form_field(self, model_field: FileField | None) -> forms.FileField:
        """
        Return a new form field to validate a file with.

        If the form class cannot be imported, the form field is made from the model's field. Code
        may have made the class at run time, or it may be from another version of the project.
        """
        form = _import(self.form, forms.BaseForm)
        declared = None if form is None else form.base_fields.get(self.name)
        if isinstance(declared, forms.FileField):
            return declared.__deepcopy__({})
        field_class = _import(self.field_class, forms.FileField)
        if model_field is None:
            return (field_class or forms.ImageField)()
        options = {} if field_class is None else {"form_class": field_class}
        made: Any = model_field.formfield(**options)
        return made  # type: ignore[no-any-return]


def _import(path: str, base: type[Any]) -> Any:
    """Return a class that a path names, or ``None``: the row of a draft names no other objects."""
    try:
        found = import_string(path)
    except ImportError:
        return None
    return found if isinstance(found, type) and issubclass(found, base) else None


class Grant(NamedTuple):
    """The permission to send files for one form field, which a sender gets with a page."""

    #: The form field: ``app.model.field``, or a name that the project gives.
    purpose: str
    using: str
    #: The ``Sender.key`` of the person for whom the page was rendered.
    sender: str
    #: The largest file, in bytes.
    max_bytes: int | None
    is_hidden: bool
    field: FieldPath

    def dumps(self) -> str:
        """Return the signed text of the grant, which is valid for ``KEEP_DRAFTS``."""
        *values, field = self
        return signing.dumps([*values, *field, outbox_name(self.using)], salt=_GRANT)

    @classmethod
    def loads(cls, text: Any) -> Grant | None:
        """Return the grant of a signed text, or ``None`` if it is forged or too old."""
        age = timedelta(seconds=conf().KEEP_DRAFTS)
        try:
            purpose, using, sender, max_bytes, is_hidden, *field, outbox = signing.loads(
                text, salt=_GRANT, max_age=age
            )
            if using not in connections or outbox_name(using) != outbox:
                return None
            return cls(purpose, using, sender, max_bytes, is_hidden, FieldPath(*field))
        except (signing.BadSignature, TypeError, ValueError):
            return None


def draft_token(key: uuid.UUID, using: str) -> str:
    """
    Return the token of a draft, for a form's hidden input.

    The token alone does not suffice to claim the draft: that also takes the session of its sender.
    """
    return signing.dumps([key.hex, using, outbox_name(using)], salt=_DRAFT)


def read_draft_token(token: Any) -> tuple[uuid.UUID, str] | None:
    """Return the id of a draft and the alias of its database, or ``None`` for a forged token."""
    try:
        key, using, outbox = signing.loads(token, salt=_DRAFT)
        known = using in connections and outbox_name(using) == outbox
        return (uuid.UUID(key), using) if known else None
    except (signing.BadSignature, TypeError, ValueError, AttributeError):
        return None


def purpose_of(field: FileField) -> str:
    """Return the purpose of drafts for a model's field."""
    return f"{field.model._meta.label_lower}.{field.name}"


def model_field_of(purpose: str) -> FileField | None:
    """Return the model's field that a purpose names, or ``None`` for a name of the project's."""
    app_label, dot, rest = purpose.partition(".")
    model_name, _, name = rest.partition(".")
    if not dot:
        return None
    try:
        return file_field(apps.get_model(app_label, model_name), name)
    except (LookupError, FieldDoesNotExist):
        return None


def _dotted(found: type[Any]) -> str:
    return f"{found.__module__}.{found.__qualname__}"


def _importable(form_class: type[Any], name: str) -> str:
    return next(_paths(form_class, name), "")


def _paths(form_class: type[Any], name: str) -> Iterator[str]:
    """Yield the paths of the classes that declare a field as ``form_class`` does."""
    wanted = form_class.base_fields.get(name)
    for base in form_class.__mro__:
        found = getattr(base, "base_fields", {}).get(name)
        if found is None or type(found) is not type(wanted):
            continue
        try:
            if import_string(_dotted(base)) is base:
                yield _dotted(base)
        except ImportError:
            continue
