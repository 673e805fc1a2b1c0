"""From an uploaded file to a row in the journal: what happens in the request."""

from __future__ import annotations

import logging
import tempfile
import uuid
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.uploadedfile import (
    InMemoryUploadedFile,
    SimpleUploadedFile,
    TemporaryUploadedFile,
    UploadedFile,
)
from django.db import router, transaction
from django.db.models import FileField, ImageField, Model
from django.db.models.signals import post_delete
from django.utils import timezone

from .conf import conf
from .delivery import send
from .fields import file_field, file_fields, lock_instance
from .models import Upload
from .storage import staging_storage

logger = logging.getLogger("django_async_forms")

#: What can be taken apart and put together again, by name. Nothing else is ever built, so a row
#: that somebody changed cannot name a class of its own.
FILE_CLASSES: dict[str, type[File[Any]]] = {
    cls.__name__: cls
    for cls in (
        InMemoryUploadedFile,
        TemporaryUploadedFile,
        SimpleUploadedFile,
        UploadedFile,
        ContentFile,
        File,
    )
}


def save_image(uploaded: File[Any], instance: Model, field_name: str | None = None) -> Upload:
    """
    Have a worker save ``uploaded`` on ``instance``, and return the ``Upload`` that stands for it.

    For views that use no form mixin::

        def change_photo(request, pk):
            profile = get_object_or_404(Profile, pk=pk)
            save_image(request.FILES["photo"], profile)
            return redirect(profile)

    ``instance`` must be saved already. ``field_name`` is a file field of its model. Left out, it
    is the upload's own ``field_name`` if the model has a file field of that name, else the model's
    only image field. An upload that is still owed to the same field is superseded.

    Raises ``ValueError`` for an instance that is not saved, for a file without a name, and where
    the field is left out and cannot be told; ``FieldDoesNotExist`` for a name that is no file field
    of the model.
    """
    if instance._state.adding or instance.pk is None:
        raise ValueError(
            f"save_image() got a {instance._meta.label} that is not saved yet. "
            "Save the instance first: the worker finds it by its primary key."
        )
    field = file_field(type(instance), field_name or _guess_field_name(uploaded, instance))
    using = router.db_for_write(type(instance), instance=instance)
    discard_on_delete(type(instance))
    with transaction.atomic(using=using):
        lock_instance([field], instance, using)
        return hand_over(instance, field, uploaded, using=using)


def _guess_field_name(uploaded: File[Any], instance: Model) -> str:
    names = {field.name for field in file_fields(type(instance))}
    own_name = getattr(uploaded, "field_name", None)
    if own_name in names:
        return str(own_name)
    images = [field for field in file_fields(type(instance)) if isinstance(field, ImageField)]
    if len(images) == 1:
        return images[0].name
    raise ValueError(
        f"save_image() cannot tell for which field of {instance._meta.label} {uploaded.name!r} is: "
        f"its image fields are {', '.join(field.name for field in images) or 'none'}. "
        "Pass field_name."
    )


def hand_over(
    instance: Model,
    field: FileField,
    uploaded: File[Any],
    *,
    using: str,
    upload_id: uuid.UUID | None = None,
    is_new: bool = False,
) -> Upload:
    """
    Stage ``uploaded`` and note that it is owed to ``field`` of ``instance``; send it on commit.

    The transaction that is open must hold the instance's row. ``is_new`` says that the instance
    was made in it, so nothing can be owed to it yet.
    """
    if not uploaded.name:
        raise ValueError(
            f"The file for {field} has no name. Give it one, such as "
            'ContentFile(data, name="photo.jpg").'
        )
    data, content = deconstruct(uploaded)
    now = timezone.now()
    upload_id = upload_id or uuid.uuid4()
    upload = Upload(
        id=upload_id,
        model=instance._meta.label_lower,
        object_pk=field.model._meta.pk.value_to_string(instance),
        field_name=field.name,
        file=data,
        # By the id, never by the name that a client chose; by database, so that recovery can tell
        # what is owned; in folders of a size that can be listed.
        staged=f"{using}/{upload_id.hex[:2]}/{upload_id.hex}",
        created_at=now,
        sent_at=now,
        due_at=now + timedelta(seconds=conf().RESEND_AFTER),
    )
    with transaction.atomic(using=using):
        upload.save(using=using, force_insert=True)
        staged = staging_storage(using).save(upload.staged, content)
        if staged != upload.staged:
            upload.staged = staged
            upload.save(using=using, update_fields=["staged"])
        if not is_new:
            older = Upload.objects.using(using).for_instance(instance, field.name)
            older.exclude(pk=upload.pk).discard()
        transaction.on_commit(partial(send, upload), using=using, robust=True)
    logger.info("Upload %s: staged for %s.", upload.pk, field)
    logger.debug("Upload %s: the file is %r.", upload.pk, data["name"])
    return upload


def discard_on_delete(model: type[Model]) -> None:
    """
    Have what is owed to an instance of ``model`` discarded when that is deleted.

    A worker would find it gone, but a primary key can be used again, and what was owed to the old
    instance must not appear on the new one.
    """
    post_delete.connect(_discard_owed, sender=model, dispatch_uid="django_async_forms")


def _discard_owed(instance: Model, using: str, **kwargs: Any) -> None:
    Upload.objects.using(using).for_instance(instance).discard()


def deconstruct(uploaded: File[Any]) -> tuple[dict[str, Any], File[Any]]:
    """
    Take an uploaded file apart, into data that JSON can carry and a file with its content.

    The class is the nearest one of ``FILE_CLASSES``, so that a subclass from an upload handler of
    the project's own comes back as the class of Django's that it extends.

    Raises ``TypeError`` if it is no file, or if its ``content_type_extra`` holds what JSON cannot
    carry.
    """
    for cls in type(uploaded).__mro__:
        if FILE_CLASSES.get(cls.__name__) is cls:
            break
    else:
        raise TypeError(f"Expected an uploaded file, got {uploaded!r}.")
    data = {
        "class": cls.__name__,
        "name": uploaded.name,
        "size": uploaded.size,
        "field_name": getattr(uploaded, "field_name", None),
    }
    for key in ("content_type", "charset", "content_type_extra"):
        data[key] = _to_json(getattr(uploaded, key, None), key)
    return data, uploaded


def reconstruct(data: dict[str, Any], content: File[Any]) -> File[Any]:
    """
    Put an uploaded file together again, from what ``deconstruct`` returned.

    It has the path of ``content`` if that has one to give away (``temporary_file_path``). Else the
    content is copied in chunks, into a temporary file, or into memory while it is no longer than
    ``FILE_UPLOAD_MAX_MEMORY_SIZE``.

    Raises ``ValueError`` for data that ``deconstruct`` did not make, and Django's
    ``SuspiciousFileOperation`` for a name that is no file's name.
    """
    try:
        cls = FILE_CLASSES[data["class"]]
        name, size, field_name = (
            _expect(data[key], kind)
            for key, kind in (("name", str), ("size", int), ("field_name", str))
        )
        content_type, charset, extra = (
            _from_json(data[key]) for key in ("content_type", "charset", "content_type_extra")
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"This describes no uploaded file: {data!r} ({error!r}).") from error
    if cls is TemporaryUploadedFile and not hasattr(content, "temporary_file_path"):
        return _filled(TemporaryUploadedFile(name, content_type, size, charset, extra), content)
    # All of it before the final storage is asked to take any of it: staged bytes are removed at any
    # moment, by an upload that supersedes this one, and half a file would be left there then.
    if cls is ContentFile:
        return ContentFile(content.read(), name)
    # The initialisers of the classes differ, and that of a TemporaryUploadedFile makes a file.
    uploaded: Any = cls.__new__(cls)
    if cls is File:
        File.__init__(uploaded, None, name)
    else:
        UploadedFile.__init__(uploaded, None, name, content_type, size, charset, extra)
    if issubclass(cls, InMemoryUploadedFile):
        uploaded.field_name = field_name
    if hasattr(content, "temporary_file_path"):
        uploaded.file = content
    else:
        limit = settings.FILE_UPLOAD_MAX_MEMORY_SIZE
        uploaded.file = _filled(File(tempfile.SpooledTemporaryFile(limit)), content)
    return uploaded  # type: ignore[no-any-return]


def _filled(empty: File[Any], content: File[Any]) -> File[Any]:
    for chunk in content.chunks():
        empty.write(chunk)
    empty.seek(0)
    return empty


def _expect(value: Any, kind: type) -> Any:
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _to_json(value: Any, where: str) -> Any:
    """Return ``value`` as JSON can carry it. Django's parameters of a content type are bytes."""
    if isinstance(value, bytes):
        return {"latin-1": value.decode("latin-1")}
    if isinstance(value, dict):
        return {"dict": [[_to_json(k, where), _to_json(v, where)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_to_json(item, where) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"The upload's {where} holds {value!r}, which JSON cannot carry.")


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "dict" in value:
        return {_from_json(k): _from_json(v) for k, v in value["dict"]}
    return value["latin-1"].encode("latin-1")
