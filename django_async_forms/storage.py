"""The package's staging storages: rows of the database, or a private folder."""

from __future__ import annotations

import io
import os
import posixpath
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured, SuspiciousFileOperation
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.db import IntegrityError, router, transaction
from django.db.models.functions import Length
from django.utils.deconstruct import deconstructible

from .background import meanwhile
from .chunks import ChunkReader, delete_chunks, write_chunks

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet

    _File = File[Any]
else:
    _File = File

#: The alias in STORAGES of the staging storage.
STAGING = "async_forms"


def staging_storage(using: str) -> Storage:
    """
    Return the staging storage for uploads in the database ``using``.

    This is ``STORAGES["async_forms"]``, which may be any Django storage. It defaults to a
    ``DatabaseStorage``.
    """
    storage = storages[STAGING] if STAGING in storages.backends else DatabaseStorage()
    if isinstance(storage, DatabaseStorage):
        return storage.for_database(using)
    return storage


def is_transactional(storage: Storage, using: str) -> bool:
    """Tell whether the files in ``storage`` commit and roll back with the database ``using``."""
    return isinstance(storage, DatabaseStorage) and storage.using == using


def remove_staged(name: str, using: str) -> None:
    """Remove a staged file: immediately if a rollback restores it, else on commit."""
    storage = staging_storage(using)
    if is_transactional(storage, using):
        storage.delete(name)
    else:

        def delete() -> None:  # Not a partial(): Django 5.2 fails to log the error of one.
            storage.delete(name)

        transaction.on_commit(delete, using=using, robust=True)


@deconstructible(path="django_async_forms.storage.DatabaseStorage")
class DatabaseStorage(Storage):
    """
    Keeps files in rows of a database, which it reads and writes one at a time.

    ``using`` is the alias of the database. It defaults to the database that the router names. In
    the staging storage it defaults to the database of the instance, so that the bytes commit and
    roll back with the instance.
    """

    def __init__(self, using: str | None = None) -> None:
        self.using = using

    def for_database(self, using: str) -> DatabaseStorage:
        """Return this storage if it names a database, or else a storage in ``using``."""
        return self if self.using else DatabaseStorage(using)

    @property
    def _model(self) -> type[Model]:
        # By name: a model field may use this storage, so this module is imported before the models.
        return apps.get_model("django_async_forms", "StoredChunk")

    @property
    def _table(self) -> str:
        return self._model._meta.db_table

    def _alias(self) -> str:
        return self.using or router.db_for_write(self._model)

    def _key(self, name: str) -> str:
        """Return the name of a file in its rows. Raises as ``FileSystemStorage.path()`` does."""
        key = posixpath.normpath(str(name))  # It may be a Path.
        if key == ".." or key.startswith(("/", "../")):
            raise SuspiciousFileOperation(f"The name {str(name)!r} leads out of DatabaseStorage.")
        return key

    def _chunks(self, name: str) -> QuerySet[Model]:
        rows = self._model._base_manager.using(self._alias())
        return rows.filter(name=self._key(name))

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        return DatabaseFile(self, name, mode)

    def _reader(self, name: str, mode: str) -> ChunkReader | io.TextIOWrapper:
        if mode not in ("rb", "r", "rt"):
            raise ValueError(
                f"DatabaseStorage opens files for reading only, not with mode {mode!r}."
            )
        reader = ChunkReader(self._alias(), self._table, self._key(name))
        return reader if mode == "rb" else io.TextIOWrapper(reader, encoding="utf-8")

    def _save(self, name: str, content: File[Any]) -> str:
        name, using = self._key(name), self._alias()
        try:
            with transaction.atomic(using):
                write_chunks(using, self._table, name, content)
        except IntegrityError:
            # Another save took the name meanwhile. A transaction that reads a snapshot does not see
            # that, so change the name without looking for the old one again.
            file = PurePosixPath(name)
            extension = "".join(file.suffixes)
            root = file.name.removesuffix(extension)
            alternative = file.with_name(self.get_alternative_name(root, extension))
            name = self.get_available_name(str(alternative))
            content.seek(0)  # Raises if the content is a stream, which cannot be read again.
            with transaction.atomic(using):
                write_chunks(using, self._table, name, content)
        return name

    def save_new(self, name: str, content: File[Any]) -> None:
        """Save a file under a name that no other has, so without the savepoint of ``save()``."""
        using = self._alias()
        with transaction.atomic(using, savepoint=False):
            write_chunks(using, self._table, self._key(name), content)

    def write_at(self, name: str, offset: int, content: File[Any]) -> None:
        """
        Write the part of a file that begins at ``offset``. All earlier parts are there already.

        The part replaces all that an earlier attempt has written from ``offset`` on. Raises
        ``FileNotFoundError`` for a file that is gone.
        """
        key, using = self._key(name), self._alias()
        # Look first, without a lock: at REPEATABLE READ, InnoDB locks the gap where a DELETE finds
        # nothing, and two parts would each wait to insert into the gap of the other.
        last = self._chunks(name).order_by("-position").values_list("position").first()
        if last is None and offset:
            raise _not_found(name)
        with transaction.atomic(using, savepoint=False):
            if last is not None and last[0] >= offset:
                delete_chunks(using, self._table, key, offset)
            write_chunks(using, self._table, key, content, offset)

    def delete(self, name: str) -> None:
        if not name:
            raise ValueError("The name must be given to delete().")
        delete_chunks(self._alias(), self._table, self._key(name))

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        column: Any = self._model._meta.get_field("name")
        longest = min(max_length or column.max_length, column.max_length)
        return super().get_available_name(name, longest)

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
        folder = self._key(path)
        prefix = "" if folder == "." else f"{folder}/"
        names = (
            self._model._base_manager.using(self._alias())
            .filter(position=0, name__startswith=prefix)
            .values_list("name", flat=True)
        )
        directories: set[str] = set()
        files: list[str] = []
        for name in names.iterator():
            if not name.startswith(prefix):
                continue  # SQLite's startswith ignores case.
            head, slash, _ = name.removeprefix(prefix).partition("/")
            if slash:
                directories.add(head)
            else:
                files.append(head)
        return sorted(directories), sorted(files)

    def get_created_time(self, name: str) -> datetime:
        first = self._chunks(name).filter(position=0)
        saved_at: datetime | None = first.values_list("saved_at", flat=True).first()
        if saved_at is None:
            raise _not_found(name)
        return saved_at

    # A file is written once and never changes. The time of the last access is not recorded.
    get_modified_time = get_accessed_time = get_created_time


def _not_found(name: str) -> FileNotFoundError:
    return FileNotFoundError(f"DatabaseStorage has no file {str(name)!r}.")


class DatabaseFile(_File):
    """A file of a ``DatabaseStorage``, open for reading. Once closed, it can be opened again."""

    def __init__(self, storage: DatabaseStorage, name: str, mode: str) -> None:
        super().__init__(storage._reader(name, mode), name)
        self.mode = mode
        self._storage = storage

    def open(self, mode: str | None = None, *args: Any, **kwargs: Any) -> DatabaseFile:
        if self.closed:
            self.mode = mode or self.mode
            self.file = self._storage._reader(str(self.name), self.mode)
        self.seek(0)
        return self


class LinkedFile(_File):
    """
    A staged file under a second name, a hard link. A final storage may move it away.

    Closing it removes the link if it is still there. The staged file stays.
    """

    def __init__(self, path: str, staged: str) -> None:
        super().__init__(open(path, "rb"), path)
        self.path = path
        self._staged = staged

    def temporary_file_path(self) -> str:
        """Return the path. ``FileSystemStorage`` moves a file that has this method."""
        return self.path

    def restore_mode(self) -> None:
        """
        Make the staged file private again.

        Both names share one mode, so a final storage that moves the link also changes the mode of
        the staged file. Until this call, the folders keep the file private.
        """
        with suppress(FileNotFoundError):  # Another upload has superseded this one.
            os.chmod(self._staged, 0o600)

    def close(self) -> None:
        super().close()
        # The final storage may have moved the file, which is the purpose of the link.
        with suppress(FileNotFoundError):
            os.unlink(self.path)


@deconstructible(path="django_async_forms.storage.StagingFileSystemStorage")
class StagingFileSystemStorage(FileSystemStorage):
    """
    Keeps files in a private folder, without a copy where the disk has hard links.

    ``location`` is the path of the folder. Web and worker hosts must both see it, and it must not
    be under ``MEDIA_ROOT``. With ``FILE_UPLOAD_TEMP_DIR`` on the same file system, a
    ``TemporaryUploadedFile`` is linked into the folder, whatever its size, and the worker links it
    out again. ``fsync=False`` lets the operating system choose when the bytes reach the disk. That
    is faster, but a power cut can lose images that were committed.

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
        raise ValueError("A staged file has no URL: it is private until it is stored.")

    def link_out(self, name: str) -> LinkedFile | None:
        """Return the file under a new hard link, or None if the disk has no hard links."""
        staged = self.path(name)
        # The link is next to the staged file and named after it, so recovery finds it if abandoned.
        link = f"{staged}.{secrets.token_hex(8)}"
        try:
            os.link(staged, link)
        except FileNotFoundError:
            raise
        except OSError:
            return None
        # Renew its time, or recovery may take the link for one that was abandoned long ago.
        os.utime(link)
        return LinkedFile(link, staged)

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        return File(open(self.path(name), mode, opener=_open_private))

    def write_at(self, name: str, offset: int, content: File[Any]) -> None:
        """
        Write the part of a file that begins at ``offset``. All earlier parts are there already.

        The part replaces all that an earlier attempt has written from ``offset`` on. Raises
        ``FileNotFoundError`` for a file that is gone.
        """
        path = self.path(name)
        missing = self._make_folders(path) if offset == 0 else []
        # Never truncated: a process that lost its lock may write the same part at the same time.
        descriptor = _open_private(path, os.O_WRONLY | (os.O_CREAT if offset == 0 else 0))
        with open(descriptor, "wb") as file:
            file.seek(offset)
            for chunk in content.chunks():
                file.write(chunk)
        with self._sync(path, missing, is_new=offset == 0):
            pass

    def _make_folders(self, path: str) -> list[str]:
        """Make the private folders of a file, and return those that were missing."""
        os.makedirs(self.location, mode=0o700, exist_ok=True)
        missing = []
        folder = os.path.dirname(path)
        while not os.path.isdir(folder):
            missing.append(folder)
            folder = os.path.dirname(folder)
        # One by one: os.makedirs() sets the mode of the last folder only.
        for folder in reversed(missing):
            os.makedirs(folder, mode=0o700, exist_ok=True)
        return missing

    @contextmanager
    def _sync(self, path: str, missing: list[str], *, is_new: bool = True) -> Iterator[None]:
        """Flush a file and its folders to the disk while the block runs."""
        if not self.fsync:
            yield
            return
        folders = [os.path.dirname(folder) for folder in (path, *missing)] if is_new else []
        # One after the other, in one thread: the disk writes new folders with the file, so the
        # second call finds little to do. More threads cost more when many requests come at once.
        with meanwhile(partial(_fsync, path, *folders)) as flushed:
            yield
            flushed()

    def _save(self, name: str, content: File[Any]) -> str:
        with self.saving(name, content) as saved:
            return saved

    @contextmanager
    def saving(self, name: str, content: File[Any]) -> Iterator[str]:
        """
        Save a file while the block runs, which gets its name. All bytes can be read in it.

        They are on the disk when the block has ended. Raises then what the disk has raised.
        """
        path = self.path(name)
        missing = self._make_folders(path)
        while True:
            try:
                if not self._link(content, path):
                    self._copy(content, path)
                break
            except FileExistsError:  # Another save took the name meanwhile.
                path = self.path(self.get_available_name(name))
        with self._sync(path, missing):
            yield os.path.relpath(path, self.location)

    def _link(self, content: File[Any], path: str) -> bool:
        """Link a temporary file to ``path``. It keeps its place too, so its owner can close it."""
        if not hasattr(content, "temporary_file_path"):
            return False
        try:
            # os.link() would link a symbolic link itself.
            os.link(os.path.realpath(content.temporary_file_path()), path)
        except FileExistsError:
            raise
        except OSError:
            return False  # Another file system, or one without links: copy.
        try:
            os.chmod(path, 0o600)
            # Renew its time, or recovery may take an old file for abandoned before its row commits.
            os.utime(path)
        except OSError:
            # The file is another user's and cannot be made private, or recovery was faster.
            with suppress(FileNotFoundError):
                os.unlink(path)
            return False
        return True

    def _copy(self, content: File[Any], path: str) -> None:
        descriptor = _open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            with open(descriptor, "wb") as file:
                for chunk in content.chunks():
                    file.write(chunk.encode() if isinstance(chunk, str) else chunk)
        except BaseException:
            os.unlink(path)
            raise


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _fsync(*paths: str) -> None:
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
