"""From an uploaded file to a row in the journal: what happens in the request."""

from __future__ import annotations

import base64
import io
import logging
import tempfile
import uuid
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from django.core.files.base import ContentFile, File
from django.core.files.uploadedfile import (
    InMemoryUploadedFile,
    SimpleUploadedFile,
    TemporaryUploadedFile,
    UploadedFile,
)
from django.core.files.utils import validate_file_name
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
    is the upload's own ``field_name`` if the model has a file field of that name (Django tells it
    to uploads in memory only), else the model's only image field. An upload that is still owed to
    the same field is superseded.

    Raises ``ValueError`` for an instance that is not saved, for a file without a name, and where
    the field is left out and cannot be told; ``FieldDoesNotExist`` for a name that is no file field
    of the model; ``SuspiciousFileOperation`` for a file whose name no storage takes.
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
        "Pass field_name: an upload that came through a temporary file does not know its field."
    )


def hand_over(
    instance: Model,
    field: FileField,
    uploaded: File[Any],
    *,
    using: str,
    name: str | None = None,
    upload_id: uuid.UUID | None = None,
    is_new: bool = False,
) -> Upload:
    """
    Stage ``uploaded`` and note that it is owed to ``field`` of ``instance``; send it on commit.

    The transaction that is open must hold the instance's row. ``name`` is what the field makes the
    file's name from, the uploaded file's own name if left out. ``is_new`` says that the instance
    was made in it, so nothing can be owed to it yet.
    """
    name = _without_unstorable(name or uploaded.name or "")
    if not name:
        raise ValueError(
            f"The file for {field} has no name. Give it one, such as "
            'ContentFile(data, name="photo.jpg").'
        )
    validate_file_name(name, allow_relative_path=True)
    data, content = deconstruct(uploaded)
    # A form's ImageField has opened it: the page can leave room for it before it is there.
    width, height = getattr(getattr(uploaded, "image", None), "size", (None, None))
    now = timezone.now()
    upload_id = upload_id or uuid.uuid4()
    upload = Upload(
        id=upload_id,
        model=instance._meta.label_lower,
        object_pk=field.model._meta.pk.value_to_string(instance),
        field_name=field.name,
        name=name,
        file=data,
        width=width,
        height=height,
        # By the id, never by the name that a client chose; by database, so that recovery can tell
        # what is owned; in folders of a size that can be listed.
        staged=f"{using}/{upload_id.hex[:2]}/{upload_id.hex}",
        created_at=now,
        sent_at=now,
        due_at=now + timedelta(seconds=conf().RESEND_AFTER),
    )
    # Part of the transaction that is open: a savepoint of its own would be two statements more.
    with transaction.atomic(using=using, savepoint=False):
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
    logger.debug("Upload %s: the file is %r.", upload.pk, name)
    return upload


def discard_on_delete(model: type[Model]) -> None:
    """
    Have what is owed to an instance of ``model`` discarded when that is deleted.

    A worker would find it gone, but a primary key can be used again, and what was owed to the old
    instance must not appear on the new one.
    """
    for owner in {field.model for field in file_fields(model)}:
        for sender in (owner, *_proxies(owner)):
            post_delete.connect(_discard_owed, sender=sender, dispatch_uid="django_async_forms")


def _proxies(model: type[Model]) -> Iterator[type[Model]]:
    for subclass in model.__subclasses__():
        if subclass._meta.proxy:
            yield subclass
            yield from _proxies(subclass)


def _discard_owed(sender: type[Model], instance: Model, using: str, **kwargs: Any) -> None:
    # A parent's row may outlive its child's (keep_parents), and tells of itself when it does not.
    for field in file_fields(sender):
        if field.model is sender._meta.concrete_model:
            Upload.objects.using(using).for_instance(instance, field.name).discard()


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
        "name": _to_json(uploaded.name, "name"),
        "size": uploaded.size,
    }
    for key in ("content_type", "charset", "content_type_extra", "field_name"):
        data[key] = _to_json(getattr(uploaded, key, None), key)
    return data, uploaded


def reconstruct(data: dict[str, Any], content: File[Any]) -> File[Any]:
    """
    Put an uploaded file together again, from what ``deconstruct`` returned.

    It has the path of ``content`` if that has one to give away (``temporary_file_path``). Else the
    content is copied in chunks into a temporary file, or into memory if that is where it was.

    Raises ``ValueError`` for data that ``deconstruct`` did not make, and Django's
    ``SuspiciousFileOperation`` for a name that is no file's name.
    """
    try:
        cls = FILE_CLASSES[data["class"]]
        name, size = _expect(_from_json(data["name"]), str), _expect(data["size"], int)
        content_type, charset, extra, field_name = (
            _from_json(data[key])
            for key in ("content_type", "charset", "content_type_extra", "field_name")
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"This describes no uploaded file: {data!r} ({error!r}).") from error
    if cls is TemporaryUploadedFile and not hasattr(content, "temporary_file_path"):
        if name is None:
            raise ValueError(f"This describes no uploaded file: {data!r} (it has no name).")
        temporary = TemporaryUploadedFile(name, content_type, size, charset, extra)
        return _filled(temporary, content)  # type: ignore[no-any-return]
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
    elif issubclass(cls, InMemoryUploadedFile):
        uploaded.file = io.BytesIO(content.read())
    else:
        uploaded.file = _filled(tempfile.TemporaryFile(), content)
    return uploaded  # type: ignore[no-any-return]


def _filled(empty: Any, content: File[Any]) -> Any:
    try:
        for chunk in content.chunks():
            empty.write(chunk)
    except BaseException:
        empty.close()
        raise
    empty.seek(0)
    return empty


def _expect(value: Any, kind: type) -> Any:
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _without_unstorable(name: str) -> str:
    """
    Leave out what no database takes for text: NUL, and half a character.

    So does every storage of Django's when it makes a name of its own from this one.
    """
    return "".join(char for char in name if char != "\0" and not "\ud800" <= char <= "\udfff")


def _to_json(value: Any, where: str) -> Any:
    """Return ``value`` as JSON can carry it. Django's parameters of a content type are bytes."""
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, str):
        # PostgreSQL's JSON has no NUL, no encoding has half a character, and clients send both.
        if value.isprintable():
            return value
        return {"text": base64.b64encode(value.encode(errors="surrogatepass")).decode()}
    if isinstance(value, dict):
        return {"dict": [[_to_json(k, where), _to_json(v, where)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_to_json(item, where) for item in value]
    if value is None or isinstance(value, (int, float)):
        return value
    raise TypeError(f"The upload's {where} holds {value!r}, which JSON cannot carry.")


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "dict" in value:
        return {_from_json(k): _from_json(v) for k, v in value["dict"]}
    if "text" in value:
        return base64.b64decode(value["text"]).decode(errors="surrogatepass")
    return base64.b64decode(value["bytes"])
