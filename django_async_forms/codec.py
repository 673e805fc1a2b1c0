"""An uploaded file as JSON and content, and put together again from them."""

from __future__ import annotations

import base64
import io
import tempfile
from typing import TYPE_CHECKING, Any

from django.core.files.base import ContentFile, File
from django.core.files.uploadedfile import (
    InMemoryUploadedFile,
    SimpleUploadedFile,
    TemporaryUploadedFile,
    UploadedFile,
)

if TYPE_CHECKING:
    _File = File[bytes]
else:
    _File = File

#: The classes that are taken apart and put together again, by name. Nothing else is ever built, so
#: a row that somebody changed cannot name a class of its own.
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


def deconstruct(uploaded: File[Any]) -> tuple[dict[str, Any], File[Any]]:
    """
    Take an uploaded file apart, into data that JSON can carry and a file with its content.

    The class is the nearest one of ``FILE_CLASSES``, so that a subclass from a project's upload
    handler comes back as the Django class that it extends. The content of a file with a
    ``temporary_file_path()`` is what lies at that path, as for ``FileSystemStorage``: a form's
    ``clean()`` may have put another file there. Close it where it is not ``uploaded`` itself.

    Raises ``TypeError`` for an object that is not a file, and for a ``content_type_extra`` with
    values that JSON cannot carry.
    """
    for cls in type(uploaded).__mro__:
        if FILE_CLASSES.get(cls.__name__) is cls:
            break
    else:
        raise TypeError(f"Expected an uploaded file, got {uploaded!r}.")
    content = _file_at_path(uploaded)
    data = {
        "class": cls.__name__,
        # Names may be paths, and sizes what a client has said, or not to be had.
        "name": None if uploaded.name is None else _to_json(str(uploaded.name), "name"),
        "size": _size(content),
    }
    for key in ("content_type", "charset", "content_type_extra", "field_name"):
        data[key] = _to_json(getattr(uploaded, key, None), key)
    return data, content


def _size(content: File[Any]) -> int | None:
    try:
        size = content.size
    except (AttributeError, OSError):  # Of a stream that cannot be sought.
        return None
    return size if isinstance(size, int) else None


class _PathFile(_File):
    """A file that is read anew from its path, which a storage may link or move."""

    def __init__(self, path: str) -> None:
        super().__init__(open(path, "rb"), path)
        self.path = path

    def temporary_file_path(self) -> str:
        return self.path


def _file_at_path(uploaded: File[Any]) -> File[Any]:
    if not hasattr(uploaded, "temporary_file_path"):
        return uploaded
    if not uploaded.closed:
        uploaded.flush()  # What was written to the open file belongs to it too.
    try:
        return _PathFile(uploaded.temporary_file_path())
    except FileNotFoundError:  # Moved away. The open file still has the bytes.
        return uploaded


def reconstruct(data: dict[str, Any], content: File[Any]) -> File[Any]:
    """
    Put an uploaded file together again, from what ``deconstruct`` returned.

    It has the path of ``content`` if that can be given away (``temporary_file_path``). Otherwise
    the content is copied in chunks into a temporary file, or into memory if it came from there.

    Raises ``ValueError`` for data that ``deconstruct`` did not make, and Django's
    ``SuspiciousFileOperation`` for a name that is not a file's name.
    """
    try:
        cls = FILE_CLASSES[data["class"]]
        name, size = _expect(_from_json(data["name"]), str), _expect(data["size"], int)
        content_type, charset, extra, field_name = (
            _from_json(data[key])
            for key in ("content_type", "charset", "content_type_extra", "field_name")
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"This does not describe an uploaded file: {data!r} ({error!r})."
        ) from error
    if cls is TemporaryUploadedFile and not hasattr(content, "temporary_file_path"):
        if name is None:
            raise ValueError(f"This does not describe an uploaded file: {data!r} (it has no name).")
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
        raise TypeError(f"{value!r} is not a {kind.__name__}")
    return value


def _to_json(value: Any, where: str) -> Any:
    """Return ``value`` as JSON can carry it. Django's parameters of a content type are bytes."""
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, str):
        # PostgreSQL's JSON has no NUL, no encoding has a lone surrogate, and clients send both.
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
