"""Watches a final storage while a worker stores an image, so that no two images get one name."""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.move import file_move_safe
from django.core.files.storage import FileSystemStorage, Storage
from django.utils.functional import LazyObject, empty

from .codec import path_of
from .fields import unwrapped
from .models import Upload

logger = logging.getLogger("django_async_forms")


class StoredFiles:
    """The files that one attempt at an upload has created in final storages."""

    def __init__(self, upload: Upload) -> None:
        self.upload = upload
        self._created: list[tuple[Storage, str]] = []

    def watch(self, storage: Storage, reserves: bool) -> Storage:
        """
        Return a storage like ``storage`` that notes the files created in it.

        It has the same attributes and another class. With ``reserves``, it takes no name under
        which another worker is storing an image. An object store looks for a free name and then
        stores, so two workers at the same moment would find the same name. Django's storage for a
        folder needs no reservation, which costs a statement.
        """
        storage = unwrapped(storage)
        storage_class: Any = type(storage)
        watched_class = _watched_class(storage_class)
        if watched_class is None:
            return storage
        watched: Any = object.__new__(watched_class)
        watched.__dict__ = storage.__dict__
        takes = _takes_names(storage)
        watched._set(stored=self, original=storage, takes=takes, reserves=reserves and not takes)
        watched._set(free_name="", is_looking=False, refused_names=set())
        return watched  # type: ignore[no-any-return]

    def watches(self, storage: Storage) -> bool:
        """Tell whether ``watch()`` has returned this storage."""
        return isinstance(storage, _Watched)

    def keep(self) -> None:
        """Leave the files where they are: the row refers to them."""
        self._created.clear()

    def note(self, storage: Storage, name: str) -> None:
        if (storage, name) not in self._created:  # A file that was moved is noted at once.
            self._created.append((storage, name))

    def remove(self) -> None:
        """Remove the files that this attempt has created and that nothing uses."""
        while self._created:
            storage, name = self._created.pop()
            try:
                storage.delete(name)
                logger.info("Upload %s: removed a file that nothing uses.", self.upload.pk)
            except Exception:
                # A superfluous file in the storage is better than an upload that never ends.
                logger.warning(
                    "Upload %s: left a file that nothing uses.", self.upload.pk, exc_info=True
                )


class NameReservedError(Exception):
    """The storage has one name for two images, and another worker is storing under it."""


class _Watched(Storage):
    """
    The base of a class derived from a storage's own: reserves names, and notes new files.

    ``save()`` calls ``is_name_available()`` for each name, which calls ``exists()``.
    """

    __slots__ = ()

    _stored: StoredFiles
    _original: Storage
    _reserves: bool
    #: Whether the storage itself takes another name if its name was taken meanwhile.
    _takes: bool
    #: The names that could not be reserved.
    _refused_names: set[str]
    #: Whether ``exists()`` is called to find a free name. If so, it notes the name here.
    _is_looking: bool
    _free_name: str

    def deconstruct(self) -> Any:
        return self._original.deconstruct()  # type: ignore[attr-defined]

    def exists(self, name: str) -> bool:
        is_there = super().exists(name)
        if self._is_looking:
            self._set(free_name="" if is_there else name)
        return is_there

    def is_name_available(self, name: str, max_length: int | None = None) -> bool:
        # Reserve first, then look: when another worker's reservation ends, its name is a file.
        if self._reserves and not self._reserve(name):
            return False
        # exists() shows that a name is free only if it is called from here. _save() of a storage
        # that names files by their content calls it for a name that nobody has reserved.
        self._set(free_name="", is_looking=True)
        try:
            return super().is_name_available(name, max_length=max_length)
        finally:
            self._set(is_looking=False)

    def _set(self, **values: Any) -> None:
        # The storage may define __setattr__(), which does not know these attributes.
        for name, value in values.items():
            object.__setattr__(self, f"_{name}", value)

    def _reserve(self, name: str) -> bool:
        # A storage that overwrites offers a refused name again. Two attempts at one upload may
        # share it, because they store the same bytes. Of two uploads, one waits for its next
        # attempt.
        offers_no_other = name in self._refused_names
        if self._stored.upload.reserve(name, shares=offers_no_other):
            return True
        if offers_no_other:
            raise NameReservedError(f"Another image is just being stored as {name!r}.")
        self._refused_names.add(name)
        return False

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        stored = super().save(name, content, max_length=max_length)
        # A storage that names files by their content, or overwrites, may return the name of an
        # older file. The file is certainly new only if its name was free.
        if stored and stored == self._free_name:
            self._stored.note(self._original, stored)
        return stored

    def _save(self, name: str, content: Any) -> str:
        save: Any = super()._save  # type: ignore[misc]
        folder: Any = self._original
        # Where the project sets no mode, Django gives a file from memory that of the umask.
        moves = self._takes and (
            hasattr(content, "temporary_file_path") or folder.file_permissions_mode is not None
        )
        source = path_of(content) if moves else None
        if source is None:
            return str(save(name, content))
        # Django moves a file with a path, and would replace one that was stored meanwhile. So an
        # empty file takes the name, and the image replaces that.
        name = str(save(name, ContentFile(b"")))
        self._stored.note(folder, name)
        path = folder.path(name)
        file_move_safe(source, path, allow_overwrite=True)
        # As Django does for a file that it has moved.
        if folder.file_permissions_mode is not None:
            os.chmod(path, folder.file_permissions_mode)
        folder._ensure_location_group_id(path)
        return name


def _takes_names(storage: Any) -> bool:
    """
    Tell whether a storage takes another name itself if its name was taken meanwhile.

    Django's own storage for a folder does, with the file system as the arbiter.
    """
    return (
        type(storage)._save is FileSystemStorage._save  # type: ignore[attr-defined]
        and not getattr(storage, "_allow_overwrite", True)
        # Until Django 6.0, a subclass may set this instead.
        and bool(getattr(storage, "OS_OPEN_FLAGS", os.O_EXCL) & os.O_EXCL)
    )


@lru_cache(maxsize=64)
def _watched_class(storage_class: Any) -> Any:
    """Return a watching subclass, or None for a storage that cannot be watched this way."""
    # In a class that does not extend Storage, Django's methods would come before its own.
    has_slots = any(vars(base).get("__slots__") for base in storage_class.__mro__)
    if has_slots or not issubclass(storage_class, Storage):
        return None
    slots = tuple(_Watched.__annotations__)
    attributes = {"__slots__": slots, "__module__": storage_class.__module__}
    try:
        return type(storage_class)(storage_class.__name__, (_Watched, storage_class), attributes)
    except TypeError:  # The class cannot be extended.
        return None


def is_lazy(storage: Any) -> bool:
    """Tell whether a storage is lazy and not set up yet."""
    return isinstance(storage, LazyObject) and storage._wrapped is empty
