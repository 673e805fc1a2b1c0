"""What has become of an image: for the page that shows it, now and while it is waited for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Any

from django.apps import apps
from django.contrib.auth.decorators import login_not_required
from django.core import signing
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import connections, router
from django.db.models import FileField, Model
from django.db.models.fields.files import FieldFile
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, JsonResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from .conf import conf
from .fields import (
    file_field,
    image_columns,
    key_from_text,
    labels_sharing,
    uncommitted_file,
)
from .models import Upload

_SALT = "django_async_forms.status"
#: How many images one request may ask for.
MAX_TOKENS = 500
#: Where an instance keeps what ``prefetch_uploads`` has found, by the name of the field.
_FOUND = "_async_forms_uploads"


@dataclass(frozen=True)
class Target:
    """A column of a row that an image is in: what a token names."""

    model: str
    object_pk: str
    field_name: str
    using: str

    @classmethod
    def of(cls, instance: Model, field: FileField) -> Target:
        owner = field.model
        key = owner._meta.pk.value_to_string(instance)
        using = router.db_for_write(type(instance), instance=instance)
        return cls(owner._meta.label_lower, key, field.name, using)

    def get_field(self) -> FileField:
        return file_field(apps.get_model(self.model), self.field_name)


def make_token(target: Target) -> str:
    """Return what a page asks with: signed, good for ``STATUS_MAX_AGE``, and for nothing else."""
    parts = [target.model, target.object_pk, target.field_name, target.using]
    return signing.dumps(parts, salt=_SALT)


def read_token(token: Any) -> Target | None:
    """Return what a token names, or None if it is not one of ours or too old."""
    age = timedelta(seconds=conf().STATUS_MAX_AGE)
    try:
        target = Target(*signing.loads(token, salt=_SALT, max_age=age))
        # This process may be older or newer than the one that made it.
        key_from_text(target.get_field().model, target.object_pk)
        return target if target.using in connections else None
    except (signing.BadSignature, LookupError, FieldDoesNotExist, ValidationError):
        return None
    except (TypeError, ValueError):
        return None  # No token at all. Half a character, for one, cannot even be compared.


def prefetch_uploads(instances: Iterable[Model], field_name: str) -> Sequence[Model]:
    """
    Look up what is owed to one field of many instances, with two queries for all, and return them.

    For pages with many images::

        photos = prefetch_uploads(Photo.objects.all()[:100], "image")

    ``{% async_image %}`` then asks nothing more. An image that a worker has attached since an
    instance was loaded is put on it. The instances are all of one model.
    """
    instances = list(instances)
    saved = [instance for instance in instances if instance.pk is not None]
    if not saved:
        return instances
    field = file_field(type(saved[0]), field_name)
    targets: dict[Target, list[Model]] = {}
    for instance in saved:
        targets.setdefault(Target.of(instance, field), []).append(instance)
    uploads = _find_uploads(targets)
    for target, of_row in targets.items():
        for instance in of_row:
            instance.__dict__.setdefault(_FOUND, {})[field_name] = uploads.get(target)
    # After the uploads: what is not owed any more is in the row by then.
    _refresh({target: targets[target] for target in targets if target not in uploads}, field)
    return instances


def upload_for(instance: Model, field_name: str) -> Upload | None:
    """Return what is owed to a field of an instance; if nothing is, its image is up to date."""
    found: dict[str, Upload | None] = instance.__dict__.get(_FOUND, {})
    if field_name not in found:
        prefetch_uploads([instance], field_name)
        # Only for this once: the next page asks anew.
        found = instance.__dict__.pop(_FOUND, {})
    return found.get(field_name)


def stored_image(instance: Model, field: FileField) -> FieldFile:
    """
    Return the image of an instance as it is stored.

    That of an instance in an invalid form is the upload, which has a name and no file yet.
    """
    image: FieldFile = getattr(instance, field.attname)
    if uncommitted_file(instance, field) is None:
        return image
    name = None
    if instance.pk is not None:
        target = Target.of(instance, field)
        rows = field.model._base_manager.using(target.using)
        key = key_from_text(field.model, target.object_pk)
        name = rows.filter(pk=key).values_list(field.attname, flat=True).first()
    return field.attr_class(instance, field, name)


def _refresh(targets: dict[Target, list[Model]], field: FileField) -> None:
    columns = [column.attname for column in image_columns(field)]
    for using, of_database in groupby(sorted(targets, key=_database), _database):
        keys = {key_from_text(field.model, target.object_pk): target for target in of_database}
        rows = field.model._base_manager.using(using).filter(pk__in=list(keys))
        for pk, *values in rows.values_list("pk", *columns):
            values_now = dict(zip(columns, values, strict=True))
            for instance in targets[keys[pk]]:
                # An upload that is still to be saved with the instance stays on it.
                if uncommitted_file(instance, field) is not None:
                    continue
                held = str(instance.__dict__.get(field.attname) or "")
                if held != str(values_now[field.attname] or ""):
                    instance.__dict__.update(values_now)


def _find_uploads(targets: Iterable[Target]) -> dict[Target, Upload]:
    """Return what is owed to each target, with one query for each database."""
    found: dict[Target, Upload] = {}
    for using, of_database in groupby(sorted(targets, key=_database), _database):
        wanted = list(of_database)
        owners = {target: labels_sharing(target.get_field().model) for target in wanted}
        rows = Upload.objects.using(using).filter(
            object_pk__in={target.object_pk for target in wanted},
            model__in={label for labels in owners.values() for label in labels},
        )
        by_column: dict[tuple[str, str], list[Upload]] = {}
        for upload in rows.defer("file"):
            by_column.setdefault((upload.object_pk, upload.field_name), []).append(upload)
        for target in wanted:
            for upload in by_column.get((target.object_pk, target.field_name), ()):
                if upload.model in owners[target]:
                    found[target] = upload
    return found


def _database(target: Target) -> str:
    return target.using


def _find_images(targets: Iterable[Target]) -> dict[Target, str | None]:
    """Return the URL of the image of each target, with one query for each model."""
    found: dict[Target, str | None] = {}

    def column(target: Target) -> tuple[str, str, str]:
        return target.using, target.model, target.field_name

    for _, of_column in groupby(sorted(targets, key=column), column):
        wanted = list(of_column)
        field = wanted[0].get_field()
        names = [column.name for column in image_columns(field)]
        keys = {key_from_text(field.model, target.object_pk): target for target in wanted}
        rows = field.model._base_manager.using(wanted[0].using).filter(pk__in=list(keys))
        for instance in rows.only("pk", *names):
            image = getattr(instance, field.attname)
            found[keys[instance.pk]] = image.url if image else None
    return found


# Whoever has a token may ask: it needs no session, and changes nothing.
@csrf_exempt
@login_not_required
@require_POST
@cache_control(no_store=True)
def image_status(request: HttpRequest) -> HttpResponse:
    """
    Tell what has become of images: ``{"tokens": [...]}`` is answered with ``{"images": {...}}``.

    For each token that is ours and not too old, ``state`` is ``"pending"``, ``"failed"`` or
    ``"saved"``; with ``"saved"`` comes the image's ``url``, or ``null`` if there is no image. Other
    tokens are left out. The number of queries does not depend on the number of tokens.
    """
    try:
        tokens = json.loads(request.body)["tokens"]
        if not isinstance(tokens, list) or len(tokens) > MAX_TOKENS:
            raise ValueError
    except (ValueError, TypeError, KeyError, RecursionError):  # The last: brackets in brackets.
        return HttpResponseBadRequest(
            f'Post {{"tokens": […]}} as JSON, with at most {MAX_TOKENS} tokens.'
        )
    targets = {token: read_token(token) for token in tokens if isinstance(token, str)}
    known = {token: target for token, target in targets.items() if target is not None}
    # The uploads first: what is not owed any more then has been attached.
    uploads = _find_uploads(set(known.values()))
    images = _find_images({target for target in known.values() if target not in uploads})
    return JsonResponse(
        {
            "images": {
                token: (
                    {"state": uploads[target].state}
                    if target in uploads
                    else {"state": "saved", "url": images.get(target)}
                )
                for token, target in known.items()
            }
        }
    )
