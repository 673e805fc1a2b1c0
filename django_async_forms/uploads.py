"""``save_image()`` and ``async_images()`` let a worker save images without a form."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from asgiref.sync import sync_to_async
from django.core.files.base import File
from django.db import router, transaction
from django.db.models import FileField, ImageField, Model
from django.http import HttpRequest

from .block import Block
from .fields import file_field, file_fields, lock_row, unwrapped
from .models import Upload
from .staging import claim_draft, stage


def save_image(uploaded: File[Any], instance: Model, field_name: str | None = None) -> Upload:
    """
    Let a worker save ``uploaded`` on ``instance``, and return its ``Upload``.

    For views that do not use the form mixin::

        def change_photo(request, pk):
            profile = get_object_or_404(Profile, pk=pk)
            save_image(request.FILES["photo"], profile)
            return redirect(profile)

    ``instance`` must be saved already. ``field_name`` is a file field of its model. It defaults to
    the upload's own ``field_name`` if the model has a file field with that name (Django sets it
    only on uploads in memory), or else to the model's only image field. A pending upload for the
    same field is superseded. ``uploaded`` may be a draft, from ``drafts.claimable()``.

    Raises ``ValueError`` for an instance that is not saved, for a file without a name, and if the
    field is ambiguous; ``FieldDoesNotExist`` for a name that is not a file field of the model;
    ``SuspiciousFileOperation`` for a file whose name no storage takes; ``DraftGoneError`` for a
    draft that another form has claimed.
    """
    instance = unwrapped(instance)
    if instance._state.adding or instance.pk is None:
        raise ValueError(
            f"save_image() got a {instance._meta.label} that is not saved yet. "
            "Save the instance first: the worker finds it by its primary key."
        )
    field = file_field(type(instance), field_name or _guess_field_name(uploaded, instance))
    using = router.db_for_write(type(instance), instance=instance)
    with transaction.atomic(using=using):
        claim_draft(uploaded, using)
        lock_row(field, instance, using)
        return stage(instance, field, uploaded, using=using)


async def asave_image(
    uploaded: File[Any], instance: Model, field_name: str | None = None
) -> Upload:
    """Do as ``save_image()`` in asynchronous code, such as an async view."""
    return await sync_to_async(save_image)(uploaded, instance, field_name)


@contextmanager
def async_images(
    *models: type[Model],
    fields: Collection[str] | None = None,
    when: Literal["always", "replacing"] = "always",
    hide_staged: Collection[str] = (),
    request: HttpRequest | None = None,
) -> Iterator[None]:
    """
    Let a worker save the images of the instances that are saved in this block.

    For code that is neither a form nor a serializer, such as a script that imports photos or a
    mutation of GraphQL::

        with async_images(Photo):
            for row in rows:
                Photo.objects.create(title=row.title, image=File(row.open(), name=row.name))

    Each ``save()`` of an instance of ``models``, or of their subclasses, does what the ``save()``
    of a form with the mixin does: it saves the instance without its new images, and stages those in
    the same transaction. ``fields`` names the file fields that a worker saves; it defaults to every
    ``ImageField``. ``when`` and ``hide_staged`` mean what ``async_when`` and ``hide_staged`` mean
    in a form. The sender of ``request`` is shown the images while they are pending.

    The block validates nothing: the limits in ``ASYNC_FORMS`` are those of forms and serializers.

    Raises ``TypeError`` without a model, and ``FieldDoesNotExist`` for a name that is not a file
    field of one of the models.
    """
    if not models:
        raise TypeError("async_images() needs the models whose images a worker saves.")
    with Block(*models, fields=fields, when=when, hide_staged=hide_staged, request=request):
        yield


def _guess_field_name(uploaded: File[Any], instance: Model) -> str:
    fields: list[FileField] = file_fields(instance)
    own_name = getattr(uploaded, "field_name", None)
    if own_name in {field.name for field in fields}:
        return str(own_name)
    images = [field for field in fields if isinstance(field, ImageField)]
    if len(images) == 1:
        return images[0].name
    raise ValueError(
        f"save_image() cannot tell which field of {instance._meta.label} {uploaded.name!r} is for: "
        f"its image fields are {', '.join(field.name for field in images) or 'none'}. "
        "Pass field_name: an upload in a temporary file does not know its field."
    )
