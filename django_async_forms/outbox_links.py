"""Finds the instances of the uploads on an admin page, and the links to their change pages."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.apps import apps
from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.core.exceptions import FieldDoesNotExist
from django.db import router
from django.db.models import Model
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.text import capfirst

from .fields import all_file_fields, key_from_text, rows
from .models import Upload, printable, savepoint


@dataclass(frozen=True)
class InstanceLink:
    """
    The instance of an upload, as a page shows it.

    ``url`` is empty if this admin does not show the instance to the user. ``is_gone`` is ``None``
    if the database could not be asked.
    """

    text: str
    url: str = ""
    is_gone: bool | None = None


def link_instances(uploads: Iterable[Upload], site: AdminSite, request: HttpRequest) -> None:
    """
    Set ``instance_link`` on each upload, with one query for each model and database.

    An upload for a model that the project no longer has gets the label of that model.
    """
    for (using, label), of_model in groupby(sorted(uploads, key=_table), _table):
        chosen = list(of_model)
        try:
            model = apps.get_model(label)
        except (LookupError, ValueError):
            for upload in chosen:
                _set(upload, InstanceLink(printable(f"{label} {upload.object_pk}")))
            continue
        chosen.sort(key=_owner_label)
        for _label, of_owner in groupby(chosen, _owner_label):
            _link_rows(list(of_owner), model, using, site, request)


def _table(upload: Upload) -> tuple[str, str]:
    return upload.using, upload.model


def _owner_label(upload: Upload) -> str:
    return _owner(upload)._meta.label


def _owner(upload: Upload) -> type[Model]:
    """Return the model whose table has the column: a parent's, for a parent's field."""
    try:
        return upload.get_field().model
    except FieldDoesNotExist:
        return upload.get_model()


def _set(upload: Any, link: InstanceLink) -> None:
    upload.instance_link = link


def _link_rows(
    uploads: list[Upload], model: type[Model], using: str, site: AdminSite, request: HttpRequest
) -> None:
    owner = _owner(uploads[0])
    concrete: type[Model] = model._meta.concrete_model or model
    texts = {upload.object_pk for upload in uploads}
    found = _existing(model, owner, texts, using)
    # A child may be deleted without its parent. The parent keeps a parent's image.
    left = texts.difference(found or ()) if owner is not concrete else set()
    parents = _existing(owner, owner, left, using) if left else {}
    child_page = _page(site, request, [model, concrete], using)
    parent_page = _page(site, request, [owner], using)
    for upload in uploads:
        text, url = upload.object_pk, ""
        if found and text in found:
            url = _url(child_page, found[text]) or _url(parent_page, text)
        elif parents and text in parents:
            url = _url(parent_page, parents[text])
        is_known = found is not None and parents is not None
        is_gone = text not in {*(found or ()), *(parents or ())} if is_known else None
        name = f"{capfirst(model._meta.verbose_name)} {text}"
        _set(upload, InstanceLink(printable(name), url, is_gone))


def _existing(
    model: type[Model], owner: type[Model], texts: set[str], using: str
) -> dict[str, Any] | None:
    """Return the primary key of each row that exists, by the text of its owner's key."""
    keys = {}
    for text in texts:
        # A project's field may raise anything. No row has such a key.
        with suppress(Exception):
            keys[text] = key_from_text(owner, text)
    name = owner._meta.pk.name
    columns = [name] if model is owner else [name, "pk"]
    try:
        with savepoint(using):
            existing = rows(model, using).filter(**{f"{name}__in": list(keys.values())})
            found = {row[0]: row[-1] for row in existing.values_list(*columns)}
    except Exception:  # The table does not exist, or the database cannot hold such a key.
        return None
    return {text: found[key] for text, key in keys.items() if key in found}


def _page(
    site: AdminSite, request: HttpRequest, models: list[type[Model]], using: str
) -> str | None:
    """Return the URL name of the first change page that this user may open, or None."""
    for model in models:
        if not site.is_registered(model) or using not in _databases(model):
            continue
        if site.get_model_admin(model).has_view_permission(request):
            return f"{site.name}:{model._meta.app_label}_{model._meta.model_name}_change"
    return None


def _databases(model: type[Model]) -> set[str]:
    return {router.db_for_read(model), router.db_for_write(model)}


def _url(page: str | None, key: Any) -> str:
    try:
        return reverse(page, args=[quote(str(key))]) if page else ""
    except NoReverseMatch:  # A project's ModelAdmin may have other URLs.
        return ""


def instance_text(upload: Upload) -> str:
    """Return ``str(instance)``, or "" if that is not possible."""
    try:
        owner = upload.get_field().model
        # An ImageField with dimension fields may open its file when it is loaded.
        unread = [field.attname for field in all_file_fields(owner)]
        with savepoint(upload.using):
            found = rows(owner, upload.using).defer(*unread)
            return printable(str(found.get(pk=key_from_text(owner, upload.object_pk))))
    except Exception:  # The project's __str__() may raise anything.
        return ""


def current_image(upload: Upload) -> tuple[str, str]:
    """Return the name and the URL of the current image of an instance, each "" if unknown."""
    try:
        field = upload.get_field()
        with savepoint(upload.using):
            key = key_from_text(field.model, upload.object_pk)
            file = getattr(rows(field.model, upload.using).get(pk=key), field.attname)
            name = file.name or ""
    except Exception:  # The instance, its field or its table is gone.
        return "", ""
    try:
        # The storage of the file, not of the field: an instance may choose it.
        return name, file.url if name else ""
    except Exception:  # The storage may have no URLs, because a project's view serves the files.
        return name, ""
