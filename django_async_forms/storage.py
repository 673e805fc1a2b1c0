"""Where uploads wait for a worker: in the database, or in a private folder."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.db import connections, router, transaction
from django.db.models.functions import Length
from django.utils.deconstruct import deconstructible

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import QuerySet

    from .models import StoredChunk

    _File = File[bytes]
else:
    _File = File

#: The alias in STORAGES of the staging storage.
STAGING = "async_forms"

#: Bytes in a row. Far below max_allowed_packet (16 MiB by default on MariaDB), large enough that
#: the cost of a row does not count.
CHUNK_SIZE = 256 * 1024


def staging_storage(using: str) -> Storage:
    """
    Return the storage in which uploads of the database ``using`` wait.

    It is ``STORAGES["async_forms"]``, any Django storage, or a ``DatabaseStorage`` where the
    project sets none.
    """
    storage = storages[STAGING] if STAGING in storages.backends else DatabaseStorage()
    if isinstance(storage, DatabaseStorage):
        return storage.for_database(using)
    return storage


def is_transactional(storage: Storage, using: str) -> bool:
    """Tell whether what ``storage`` keeps commits and rolls back with the database ``using``."""
    return isinstance(storage, DatabaseStorage) and storage.using == using


@deconstructible(path="django_async_forms.storage.DatabaseStorage")
class DatabaseStorage(Storage):
    """
    A storage in rows of the database, read and written in chunks.

    ``using`` is the alias of the database. Left out, it is the one that the router names; as the
    staging storage, the one of the instance that the upload is for, so that the bytes commit and
    roll back with it.
    """

    def __init__(self, using: str | None = None) -> None:
        self.using = using

    def for_database(self, using: str) -> DatabaseStorage:
        """Return this storage, or its like in the database ``using`` if it names no database."""
        return self if self.using else DatabaseStorage(using)

    @property
    def _model(self) -> type[StoredChunk]:
        # A model field may name this storage, so this module is imported before the models are.
        model: type[StoredChunk] = apps.get_model("django_async_forms", "StoredChunk")
        return model

    def _alias(self) -> str:
        return self.using or router.db_for_write(self._model)

    def _chunks(self, name: str) -> QuerySet[StoredChunk]:
        return self._model._base_manager.using(self._alias()).filter(name=name)

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        if mode not in ("r", "rb"):
            raise ValueError(
                f"DatabaseStorage opens files for reading only, not with mode {mode!r}."
            )
        raw = _ChunkReader(self._alias(), self._model, name, self.size(name))
        return File(io.BufferedReader(raw, CHUNK_SIZE), name)

    def _save(self, name: str, content: File[Any]) -> str:
        connection = connections[self._alias()]
        with transaction.atomic(using=connection.alias):
            if _speaks_psycopg3(connection):
                _write_chunks(connection, self._model, name, _pieces(content))
            else:
                for position, data in _pieces(content):
                    chunk = self._model(name=name, position=position, data=data)
                    chunk.save(using=connection.alias, force_insert=True)
        return name

    def delete(self, name: str) -> None:
        if not name:
            raise ValueError("The name must be given to delete().")
        self._chunks(name).delete()

    def exists(self, name: str) -> bool:
        return self._chunks(name).filter(position=0).exists()

    def size(self, name: str) -> int:
        last = (
            self._chunks(name).order_by("-position").values_list("position", Length("data")).first()
        )
        if last is None:
            raise _not_found(name)
        return sum(last)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        prefix = f"{path.strip('/')}/" if path.strip("/") not in ("", ".") else ""
        names = (
            self._model._base_manager.using(self._alias())
            .filter(position=0, name__startswith=prefix)
            .values_list("name", flat=True)
        )
        directories: set[str] = set()
        files: list[str] = []
        for name in names.iterator():
            head, slash, _ = name.removeprefix(prefix).partition("/")
            if slash:
                directories.add(head)
            else:
                files.append(head)
        return sorted(directories), sorted(files)

    def get_created_time(self, name: str) -> datetime:
        saved_at = self._chunks(name).filter(position=0).values_list("saved_at", flat=True).first()
        if saved_at is None:
            raise _not_found(name)
        return saved_at

    # A file is written once and never changed.
    get_modified_time = get_created_time


def _not_found(name: str) -> FileNotFoundError:
    return FileNotFoundError(f"DatabaseStorage has no file {name!r}.")


def _pieces(content: File[Any]) -> Iterator[tuple[int, bytes]]:
    """Yield (position, data) for the rows of ``content``; an empty file has one empty row."""
    position = 0
    for chunk in content.chunks(CHUNK_SIZE):
        data = chunk.encode() if isinstance(chunk, str) else chunk
        # An InMemoryUploadedFile is one chunk, whatever its size.
        for start in range(0, len(data), CHUNK_SIZE):
            piece = bytes(data[start : start + CHUNK_SIZE])
            yield position, piece
            position += len(piece)
    if position == 0:
        yield 0, b""


class _ChunkReader(io.RawIOBase):
    """The bytes of one file, a row at a time."""

    def __init__(self, using: str, model: type[StoredChunk], name: str, size: int) -> None:
        self._using = using
        self._model = model
        self._name = name
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError(f"Cannot seek to {start + offset} in {self._name!r}.")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        if self._position >= self._size:
            return 0
        first, data = self._row()
        skipped = self._position - first
        piece = memoryview(data)[skipped : skipped + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def _row(self) -> tuple[int, Any]:
        connection = connections[self._using]
        row: tuple[int, Any] | None
        if _speaks_psycopg3(connection):
            row = _read_chunk(connection, self._model, self._name, self._position)
        else:
            row = (
                self._model._base_manager.using(self._using)
                .filter(name=self._name, position__lte=self._position)
                .order_by("-position")
                .values_list("position", "data")
                .first()
            )
        if row is None or row[0] + len(row[1]) <= self._position:
            raise FileNotFoundError(f"DatabaseStorage lost {self._name!r} while it was read.")
        return row


# Django's psycopg cursor sends and receives bytea as escaped text, twice its size and parsed again.
# Binary parameters and results, in the same transaction, are three times as fast (docs/design.rst).


def _speaks_psycopg3(connection: BaseDatabaseWrapper) -> bool:
    if connection.vendor != "postgresql":
        return False
    from django.db.backends.postgresql.psycopg_any import is_psycopg3

    return bool(is_psycopg3)


@contextmanager
def _binary_cursor(connection: BaseDatabaseWrapper) -> Iterator[Any]:
    from psycopg import Cursor

    connection.ensure_connection()
    with connection.wrap_database_errors, Cursor(connection.connection) as cursor:
        yield cursor


def _write_chunks(
    connection: BaseDatabaseWrapper,
    model: type[StoredChunk],
    name: str,
    pieces: Iterator[tuple[int, bytes]],
) -> None:
    table = connection.ops.quote_name(model._meta.db_table)
    with _binary_cursor(connection) as cursor:
        for piece in pieces:
            cursor.execute(
                f"INSERT INTO {table} (name, position, data) VALUES (%s, %s, %b)", (name, *piece)
            )


def _read_chunk(
    connection: BaseDatabaseWrapper, model: type[StoredChunk], name: str, position: int
) -> tuple[int, bytes] | None:
    table = connection.ops.quote_name(model._meta.db_table)
    with _binary_cursor(connection) as cursor:
        cursor.execute(
            f"SELECT position, data FROM {table} WHERE name = %s AND position <= %s"
            " ORDER BY position DESC LIMIT 1",
            (name, position),
            binary=True,
        )
        row: tuple[int, bytes] | None = cursor.fetchone()
    return row


class LentFile(_File):
    """
    A staged file under a name of its own, which whoever reads it may move away.

    Closing it removes that name if it is still there; the staged file stays.
    """

    def __init__(self, path: str) -> None:
        super().__init__(open(path, "rb"), path)
        self.path = path

    def temporary_file_path(self) -> str:
        """Return the path, under the name that ``FileSystemStorage`` asks for to move a file."""
        return self.path

    def close(self) -> None:
        super().close()
        # It may have been moved to the final storage, which is what it was lent for.
        with suppress(FileNotFoundError):
            os.unlink(self.path)


@deconstructible(path="django_async_forms.storage.StagingFileSystemStorage")
class StagingFileSystemStorage(FileSystemStorage):
    """
    A private folder, in which an upload waits without a copy where the disk allows.

    ``location`` is the folder, as a path. Web and worker hosts must both see it, and it must not
    be under ``MEDIA_ROOT``. With ``FILE_UPLOAD_TEMP_DIR`` on the same file system, a
    ``TemporaryUploadedFile`` is linked into it, whatever its size, and the worker links it out
    again. ``fsync=False`` leaves it to the operating system when the bytes reach the disk: faster,
    and a power cut can lose images that were committed.

    Raises ``ImproperlyConfigured`` without a location.
    """

    def __init__(self, location: str | os.PathLike[str] | None = None, fsync: bool = True) -> None:
        if not location:
            raise ImproperlyConfigured(
                f'STORAGES["{STAGING}"] needs OPTIONS={{"location": ...}}: a private folder that '
                "web and worker processes share, outside MEDIA_ROOT."
            )
        super().__init__(
            location=location, file_permissions_mode=0o600, directory_permissions_mode=0o700
        )
        self.fsync = fsync

    def url(self, name: str | None) -> str:
        raise ValueError("A staged file has no URL: it is private until it is saved.")

    def lend(self, name: str) -> LentFile | None:
        """Return the file under a hard link of its own, or None where the disk has no links."""
        path = self.path(name)
        link = f"{path}.{secrets.token_hex(8)}"
        try:
            os.link(path, link)
        except FileNotFoundError:
            raise
        except OSError:
            return None
        return LentFile(link)

    def _save(self, name: str, content: File[Any]) -> str:
        path = self.path(name)
        directory = os.path.dirname(path)
        is_new = not os.path.isdir(directory)
        os.makedirs(self.location, mode=0o700, exist_ok=True)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        if not self._link(content, path):
            self._copy(content, path)
        if self.fsync:
            _fsync(path)
            _fsync(directory)
            if is_new:
                _fsync(os.path.dirname(directory))
        return name

    def _link(self, content: File[Any], path: str) -> bool:
        """Link a temporary file to ``path``; it stays where it was, so its owner can close it."""
        if not hasattr(content, "temporary_file_path"):
            return False
        try:
            os.link(content.temporary_file_path(), path)
        except FileExistsError:
            raise
        except OSError:
            return False  # Another file system, or one without links: copy.
        os.chmod(path, 0o600)
        return True

    def _copy(self, content: File[Any], path: str) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "wb") as file:
                for chunk in content.chunks():
                    file.write(chunk.encode() if isinstance(chunk, str) else chunk)
        except BaseException:
            os.unlink(path)
            raise


def _fsync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
