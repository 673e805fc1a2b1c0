"""The final storage while a worker stores an image in it: names that no two images get."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

from django.core.files.storage import Storage
from django.utils.functional import LazyObject, empty

from .models import Upload

logger = logging.getLogger("django_async_forms")


class StoredFiles:
    """The files that one attempt at an upload has created in final storages."""

    def __init__(self, upload: Upload) -> None:
        self.upload = upload
        self._created: list[tuple[Storage, str]] = []

    def watch(self, storage: Storage, reserves: bool) -> Storage:
        """
        Return a storage like ``storage``, which notes what is created in it.

        It has the same attributes and another class. ``reserves`` has it take no name that another
        worker is storing an image by: an object store looks for a free name and then stores, so
        two that look at once find the same.
        """
        if isinstance(storage, LazyObject):
            storage = _unwrapped(storage)
        storage_class: Any = type(storage)
        watched_class = _watched_class(storage_class)
        if watched_class is None:
            return storage
        watched: Any = object.__new__(watched_class)
        watched.__dict__ = storage.__dict__
        watched._set(stored=self, original=storage, reserves=reserves, refused=set())
        watched._set(free="", is_asked=False)
        return watched  # type: ignore[no-any-return]

    def watches(self, storage: Storage) -> bool:
        """Tell whether a storage is one that this has returned."""
        return isinstance(storage, _Watched)

    def keep(self) -> None:
        """Leave the files where they are: the row refers to them."""
        self._created.clear()

    def note(self, storage: Storage, name: str) -> None:
        self._created.append((storage, name))

    def remove(self) -> None:
        """Remove the files that this attempt has created and that nothing uses."""
        while self._created:
            storage, name = self._created.pop()
            try:
                storage.delete(name)
                logger.info("Upload %s: removed a file that nothing uses.", self.upload.pk)
            except Exception:
                # One file too many in the storage is better than an upload that never ends.
                logger.warning(
                    "Upload %s: left a file that nothing uses.", self.upload.pk, exc_info=True
                )


class NameReservedError(Exception):
    """The storage has one name for two images, and another worker is storing by it."""


class _Watched(Storage):
    __slots__ = ()

    _stored: StoredFiles
    _original: Storage
    _reserves: bool
    _free: str
    _refused: set[str]
    _is_asked: bool

    def deconstruct(self) -> Any:
        return self._original.deconstruct()  # type: ignore[attr-defined]

    def exists(self, name: str) -> bool:
        is_there = super().exists(name)
        if self._is_asked:
            self._set(free="" if is_there else name)
        return is_there

    def is_name_available(self, name: str, max_length: int | None = None) -> bool:
        # Reserve first, look afterwards: a name that was free a moment ago may be a file by the
        # time that its reservation ends.
        if self._reserves and not self._reserve(name):
            return False
        # Only this look makes a name known as free: _save() of a storage that names files by their
        # content looks for another name, which two workers may find free at once.
        self._set(free="", is_asked=True)
        try:
            return super().is_name_available(name, max_length=max_length)
        finally:
            self._set(is_asked=False)

    def _set(self, **values: Any) -> None:
        # Past a __setattr__() of the storage's own, to which these mean nothing.
        for name, value in values.items():
            object.__setattr__(self, f"_{name}", value)

    def _reserve(self, name: str) -> bool:
        # A storage that overwrites has no other name to offer. There, two attempts at one upload
        # store the same bytes, and two uploads come one after the other.
        knows_no_other = name in self._refused
        if self._stored.upload.reserve(name, shares=knows_no_other):
            return True
        if knows_no_other:
            raise NameReservedError(f"Another image is being stored as {name!r} at the moment.")
        self._refused.add(name)
        return False

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        stored = super().save(name, content, max_length=max_length)
        # A storage that names files by their content, or overwrites, may return the name of a file
        # that was there before. Only what was asked for, and was not there, is known to be new.
        if stored and stored == self._free:
            self._stored.note(self._original, stored)
        return stored


@lru_cache(maxsize=64)
def _watched_class(storage_class: Any) -> Any:
    """Return a class that watches, or None for a storage that cannot be watched so."""
    # One that only behaves as a storage would lose its methods to those of Django's class.
    has_slots = any(vars(base).get("__slots__") for base in storage_class.__mro__)
    if has_slots or not issubclass(storage_class, Storage):
        return None
    slots = ("_stored", "_original", "_reserves", "_free", "_refused", "_is_asked")
    attributes = {"__slots__": slots, "__module__": storage_class.__module__}
    try:
        return type(storage_class)(storage_class.__name__, (_Watched, storage_class), attributes)
    except TypeError:  # It refuses to be extended.
        return None


def is_lazy(storage: Any) -> bool:
    """Tell whether a storage is set up only when it is used, and was not used yet."""
    return isinstance(storage, LazyObject) and storage._wrapped is empty


def _unwrapped(storage: Any) -> Storage:
    """Return the storage behind a lazy one, such as Django's ``default_storage``."""
    storage.__class__  # noqa: B018  # Which has it set up.
    wrapped: Storage = storage._wrapped
    return _unwrapped(wrapped) if isinstance(wrapped, LazyObject) else wrapped
