"""The status of an image: for the page that shows it, now and while it is pending."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, cast

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import FieldDoesNotExist
from django.db import connections, router
from django.db.models import F, FileField, ImageField, Model
from django.db.models.fields.files import FieldFile
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, JsonResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from .fields import (
    Target,
    current_values,
    file_field,
    file_name,
    image_columns,
    key_from_text,
    key_text,
    rows,
    uncommitted_file,
    unwrapped,
)
from .models import Upload
from .snapshot import FoundUploads
from .tokens import make_token, read_token
from .view_kinds import in_no_transaction

logger = logging.getLogger("django_async_forms")

#: How many images one request may ask for.
MAX_TOKENS = 500


def prefetch_uploads(instances: Iterable[Model], field_name: str) -> Sequence[Model]:
    """
    Look up the uploads of one field of many instances, with two queries for all, and return them.

    For pages with many images::

        photos = prefetch_uploads(Photo.objects.all()[:100], "image")

    ``{% async_image %}`` then asks nothing more. An image that a worker has attached since an
    instance was loaded is put on it. The instances are all of one model.
    """
    instances = list(instances)
    saved = [unwrapped(instance) for instance in instances if instance.pk is not None]
    if not saved:
        return instances
    field = file_field(type(saved[0]), field_name)
    targets: dict[Target, list[Model]] = {}
    for instance in saved:
        targets.setdefault(Target.of(instance, field), []).append(instance)
    uploads = _find_uploads(targets)
    for target, of_row in targets.items():
        for instance in of_row:
            FoundUploads.of(instance)[field_name] = uploads.get(target)
    # After the uploads: an image that is no longer pending is in the row by then.
    _refresh({target: targets[target] for target in targets if target not in uploads}, field)
    return instances


def upload_for(instance: Model, field_name: str) -> Upload | None:
    """Return the upload of a field of an instance; where there is none, its image is up to date."""
    found = FoundUploads.of(instance)
    if field_name in found:
        return cast(Upload | None, found[field_name])
    using = router.db_for_write(type(unwrapped(instance)), instance=instance)
    if connections[using].needs_rollback:
        return None  # The transaction takes no queries any more, and the page may need none.
    prefetch_uploads([instance], field_name)
    # Only for this once: the next page asks anew.
    return cast(Upload | None, found.pop(field_name, None))


def token_for(instance: Model, field: FileField) -> str:
    """Return the token with which a page asks for the status of an image."""
    return make_token(Target.of(instance, field))


def stored_file(instance: Model, field: FileField) -> FieldFile:
    """
    Return the file of an instance as it is stored.

    That of an instance in an invalid form is the upload, which has a name and no file yet.
    """
    image: FieldFile = getattr(instance, field.attname)
    if uncommitted_file(instance, field) is None:
        return image
    using = Target.of(instance, field).using
    values = None if instance.pk is None else current_values(field, instance, using)
    return field.attr_class(instance, field, values[field.attname] if values else None)


def url_of(file: FieldFile) -> str | None:
    """Return the URL of a stored file, or ``None`` if there is no file or its storage has none."""
    try:
        return file.url if file else None
    except Exception as error:
        # A view of the project's may serve it. The other images of the page are to appear.
        instance, field = file.instance, file.field
        logger.warning(
            "%s %s: the storage of %s has no URL for it: %r",
            field.model._meta.label_lower,
            key_text(field, instance),
            field.name,
            error,
        )
        return None


def _refresh(targets: dict[Target, list[Model]], field: FileField) -> None:
    columns = [column.attname for column in image_columns(field)]
    for using, of_database in groupby(sorted(targets, key=_database), _database):
        keys = {key_from_text(field.model, target.object_pk): target for target in of_database}
        found = rows(field.model, using).filter(pk__in=list(keys))
        for pk, *values in found.values_list("pk", *columns):
            values_now = dict(zip(columns, values, strict=True))
            for instance in targets[keys[pk]]:
                # An upload that is still to be saved with the instance stays on it.
                if uncommitted_file(instance, field) is not None:
                    continue
                held = file_name(instance.__dict__.get(field.attname))
                if held != file_name(values_now[field.attname]):
                    instance.__dict__.update(values_now)


def _find_uploads(targets: Iterable[Target]) -> dict[Target, Upload]:
    """Return the upload of each target that has one, with one query for each database."""
    found: dict[Target, Upload] = {}
    for using, of_database in groupby(sorted(targets, key=_database), _database):
        wanted = set(of_database)
        for upload in Upload.objects.using(using).for_targets(wanted).defer("file"):
            try:
                target = upload.get_target()
            except (LookupError, FieldDoesNotExist):
                continue  # Of a version of the project that this process does not have.
            if target in wanted:
                found[target] = upload
    return found


def upload_of(target: Target) -> Upload | None:
    """Return the upload of a target; where there is none, its image is up to date."""
    return _find_uploads([target]).get(target)


def saved_url(target: Target) -> str | None:
    """Return the URL of the saved image of a target, or ``None`` where there is none."""
    return _find_files([target]).get(target, {}).get("url")


def _database(target: Target) -> str:
    return target.using


def _find_files(targets: Iterable[Target]) -> dict[Target, dict[str, str | None]]:
    """Return what a page shows of the file of each target: a query for each model and database."""
    found: dict[Target, dict[str, str | None]] = {}
    for (using, _), of_model in groupby(sorted(targets, key=_table), _table):
        by_key: dict[Any, list[Target]] = {}
        names = {}
        for target in of_model:
            field = target.get_field()
            by_key.setdefault(key_from_text(field.model, target.object_pk), []).append(target)
            names[field.attname] = f"_async_forms_{field.attname}"
        instances = rows(field.model, using).filter(pk__in=list(by_key))
        # Set after loading: Django opens the file of an image that is loaded without dimensions.
        file_names = {alias: F(attname) for attname, alias in names.items()}
        for instance in instances.only("pk").annotate(**file_names):
            for attname, alias in names.items():
                instance.__dict__[attname] = getattr(instance, alias)
            found.update((target, _saved(instance, target)) for target in by_key[instance.pk])
    return found


def _table(target: Target) -> tuple[str, str]:
    return target.using, target.model


def _saved(instance: Model, target: Target) -> dict[str, str | None]:
    field = target.get_field()
    file: FieldFile = getattr(instance, field.attname)
    if isinstance(field, ImageField):
        return {"url": url_of(file)}
    return {"url": url_of(file), "name": base_name(file.name)}


def base_name(name: str | None) -> str:
    """Return the part of a file's name that a page shows: without its folders."""
    return os.path.basename(name or "")


# Whoever has a token may ask: it needs no session, and changes nothing.
@csrf_exempt
@login_not_required
@require_POST
@cache_control(no_store=True)
def image_status(request: HttpRequest) -> HttpResponse:
    """
    Tell the status of images: ``{"tokens": [...]}`` is answered with ``{"images": {...}}``.

    For each token that is ours and not too old, ``state`` is ``"pending"``, ``"failed"`` or
    ``"saved"``; with ``"saved"`` comes the image's ``url``, or ``null`` if there is no image or its
    storage has no URL for it. A file that is not an image also has its ``name``. Other tokens are
    left out. The number of queries depends on the number of models and databases, not on that of
    tokens.
    """
    targets = _targets_in(request.body)
    return _answer(targets) if targets is not None else _bad_request()


# An async view runs in no transaction, and Django refuses one under ATOMIC_REQUESTS.
@in_no_transaction
@csrf_exempt
@login_not_required
@require_POST
@cache_control(no_store=True)
async def aimage_status(request: HttpRequest) -> HttpResponse:
    """Do as ``image_status()``, in an asynchronous view."""
    targets = _targets_in(request.body)
    if targets is None:
        return _bad_request()
    # Django's connections are synchronous: make all queries in one visit to a thread.
    return await sync_to_async(_answer)(targets) if targets else _answer(targets)


def _targets_in(body: bytes) -> dict[str, Target] | None:
    """Return the targets of the tokens that are ours, or ``None`` for a body that is not valid."""
    try:
        tokens = json.loads(body)["tokens"]
        if not isinstance(tokens, list) or len(tokens) > MAX_TOKENS:
            return None
    except (ValueError, TypeError, KeyError, RecursionError):  # The last: brackets in brackets.
        return None
    targets = {token: read_token(token) for token in tokens if isinstance(token, str)}
    return {token: target for token, target in targets.items() if target is not None}


def _bad_request() -> HttpResponse:
    return HttpResponseBadRequest(
        f'Post {{"tokens": […]}} as JSON, with at most {MAX_TOKENS} tokens.'
    )


def _answer(targets: dict[str, Target]) -> HttpResponse:
    # The uploads first: an image that is no longer pending then has been attached.
    uploads = _find_uploads(set(targets.values()))
    files = _find_files({target for target in targets.values() if target not in uploads})
    return JsonResponse(
        {
            "images": {
                token: (
                    {"state": uploads[target].state}
                    if target in uploads
                    else {"state": "saved", **files.get(target, {"url": None})}
                )
                for token, target in targets.items()
            }
        }
    )
