"""Takes an uploaded file apart into JSON and its content, and puts it together again."""

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

#: The supported classes by name. No other class is ever built, so a row that somebody has changed
#: cannot name an arbitrary class.
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

    The class is the nearest one of ``FILE_CLASSES``, so a subclass from a project's upload handler
    comes back as the Django class that it extends. If the file has a ``temporary_file_path()``, the
    content is read from that path, as ``FileSystemStorage`` does: a form's ``clean()`` may have put
    another file there. The caller closes the content if it is not ``uploaded`` itself.

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
        # A name may be a path. A size may be the client's claim, or unknown.
        "name": None if uploaded.name is None else _to_json(str(uploaded.name), "name"),
        "size": _size(content),
    }
    for key in ("content_type", "charset", "content_type_extra", "field_name"):
        data[key] = _to_json(getattr(uploaded, key, None), key)
    return data, content


def _size(content: File[Any]) -> int | None:
    try:
        size = content.size
    except (AttributeError, OSError):  # A stream that is not seekable has no size.
        return None
    return size if isinstance(size, int) else None


class _PathFile(_File):
    """A file opened again by its path. A storage may link or move it."""

    def __init__(self, path: str) -> None:
        super().__init__(open(path, "rb"), path)
        self.path = path

    def temporary_file_path(self) -> str:
        return self.path


def _file_at_path(uploaded: File[Any]) -> File[Any]:
    if not hasattr(uploaded, "temporary_file_path"):
        return uploaded
    if not uploaded.closed:
        uploaded.flush()  # Include what was written to the open file.
    try:
        return _PathFile(uploaded.temporary_file_path())
    except FileNotFoundError:  # It was moved, but the open file still has the bytes.
        return uploaded


class _BytesOfLink(io.BytesIO):
    """The bytes of a file in memory, as the request had them, and the path that has them too."""

    def __init__(self, path: str, data: bytes) -> None:
        super().__init__(data)
        self._path = path
        self._data = data

    def path_if_unchanged(self) -> str | None:
        # BytesIO returns the object that it was made with, until something writes to it.
        return self._path if self.getvalue() == self._data else None


def path_of(uploaded: File[Any]) -> str | None:
    """Return the path of a file with the bytes of ``uploaded`` that may be moved, if it has one."""
    if hasattr(uploaded, "temporary_file_path"):
        return str(uploaded.temporary_file_path())
    file = getattr(uploaded, "file", None)
    return file.path_if_unchanged() if isinstance(file, _BytesOfLink) else None


def reconstruct(data: dict[str, Any], content: File[Any]) -> File[Any]:
    """
    Return the uploaded file that ``deconstruct`` took apart.

    If the content came from memory, it is read into memory. Otherwise the file keeps the path of
    ``content`` if it has a ``temporary_file_path()``, so a storage may move it, or it is copied in
    chunks into a temporary file.

    Raises ``ValueError`` for data that ``deconstruct`` did not make, and Django's
    ``SuspiciousFileOperation`` for a name that is not a file's name.
    """
    try:
        cls = FILE_CLASSES[data["class"]]
        name, size = _expect(from_json(data["name"]), str), _expect(data["size"], int)
        content_type, charset, extra, field_name = (
            from_json(data[key])
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
    # Read everything before the final storage gets any of it. A newer upload may remove the staged
    # bytes at any moment, which would leave half a file in the final storage.
    if cls is ContentFile:
        return ContentFile(content.read(), name)
    # The classes have different __init__() methods, and TemporaryUploadedFile's makes a file.
    uploaded: Any = cls.__new__(cls)
    if cls is File:
        File.__init__(uploaded, None, name)
    else:
        UploadedFile.__init__(uploaded, None, name, content_type, size, charset, extra)
    if issubclass(cls, InMemoryUploadedFile):
        uploaded.field_name = field_name
    path = path_of(content)
    if issubclass(cls, InMemoryUploadedFile):
        in_memory = content.read()
        uploaded.file = _BytesOfLink(path, in_memory) if path else io.BytesIO(in_memory)
    elif path:
        uploaded.file = content
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
    """Return ``value`` as JSON can carry it. Parameters of a content type are bytes in Django."""
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, str):
        # Clients send NUL, which PostgreSQL's JSON refuses, and lone surrogates, which no encoding
        # has.
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


def from_json(value: Any) -> Any:
    """Return the value from which ``_to_json()`` made this one."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "dict" in value:
        return {from_json(k): from_json(v) for k, v in value["dict"]}
    if "text" in value:
        return base64.b64decode(value["text"]).decode(errors="surrogatepass")
    return base64.b64decode(value["bytes"])
