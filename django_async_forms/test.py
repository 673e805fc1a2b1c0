"""Helpers for the tests of projects that use the package, and of staging storages."""

from __future__ import annotations

import io
import os
import threading
import unittest
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.db import DEFAULT_DB_ALIAS, connections
from django.test import TestCase

from .attach import attach
from .conf import conf
from .draft_model import staged_name
from .models import Upload
from .retries import record_failure

if TYPE_CHECKING:
    _Mixin = unittest.TestCase
    _ContentFile = ContentFile[bytes]
else:
    _Mixin = object
    _ContentFile = ContentFile


def save_pending_uploads(
    using: str = DEFAULT_DB_ALIAS, *, fail_with: Exception | None = None
) -> int:
    """
    Save every pending image, in this process and without a broker; return how many there were.

    For use in a ``TestCase``, whose transaction never commits, so that no worker sees the uploads::

        self.client.post("/photos/add/", {"title": "Dune", "image": photo})
        save_pending_uploads()
        self.assertTrue(Photo.objects.get().image)

    ``using`` is the alias of the database. Raises the error that stops an image from being saved.

    With ``fail_with``, no image is saved. Each upload becomes failed instead, as if its last
    attempt had raised this exception, and ``image_failed`` is sent::

        save_pending_uploads(fail_with=OSError("No space left on device"))
    """
    uploads = list(Upload.objects.using(using).pending().order_by("created_at"))
    with TestCase.captureOnCommitCallbacks(using=using, execute=True):
        for upload in uploads:
            if fail_with is None:
                attach(upload)
            else:
                upload.attempts = conf().MAX_ATTEMPTS
                upload.save(update_fields=["attempts"])
                record_failure(upload, fail_with)
    return len(uploads)


#: The size of the pieces of a content, and the bytes of a file that is larger than any buffer.
_PIECE = 64 * 1024
_DATA = bytes(range(256)) * (10 * _PIECE // 256)


class StagingStorageTests(_Mixin):
    """
    The rules for a staging storage, as tests: a mixin for a test case.

    ``get_storage()`` makes the storage::

        class RedisStagingTests(StagingStorageTests, SimpleTestCase):
            def get_storage(self):
                return RedisStagingStorage("redis://127.0.0.1:6379/1", prefix="test")

    Each test saves files under new names, and deletes them afterwards. The tests of what is
    optional are skipped if the storage does not have it. Take a ``TransactionTestCase`` for a
    storage that keeps files in the database: one test uses threads, which do not see the
    transaction of a ``TestCase``.
    """

    def get_storage(self) -> Storage:
        """Return a new storage, with the options that each process of a project would use."""
        raise NotImplementedError(f"{type(self).__name__} has no get_storage().")

    # It is shared and private.

    def test_another_process_reads_the_file(self) -> None:
        name = self._save(ContentFile(_DATA))

        self._assert_same(self._read(name), _DATA)

    def test_other_users_cannot_read_the_file(self) -> None:
        name = self._save(ContentFile(_DATA))

        path = self._optional(self.get_storage().path, name)

        self.assertEqual(os.stat(path).st_mode & 0o007, 0, f"Other users may read {path}.")

    # save()

    def test_save_returns_the_given_name(self) -> None:
        name = self._new_name()

        self.assertEqual(self.get_storage().save(name, ContentFile(_DATA)), name)

    def test_save_calls_chunks_without_a_size(self) -> None:
        name = self._save(_ChunksWithoutSize(_DATA))

        self._assert_same(self._read(name), _DATA)

    def test_save_leaves_the_content_open(self) -> None:
        content = File(io.BytesIO(_DATA))  # Closing a ContentFile does nothing.
        self._save(content)

        self.assertFalse(content.closed, "save() has closed its content.")
        self._assert_same(self._read(self._save(content)), _DATA)

    def test_save_leaves_a_temporary_file_where_it_is(self) -> None:
        with _temporary_file() as content:
            self._save(content)

            self.assertTrue(os.path.exists(content.temporary_file_path()), "save() has moved it.")
            self._assert_same(self._read(self._save(content)), _DATA)

    def test_save_keeps_nothing_of_a_file_if_it_raises(self) -> None:
        name = self._new_name()

        with self.assertRaises(_BrokenOffError):
            self.get_storage().save(name, _BrokenOff(_DATA))

        self.assertFalse(self.get_storage().exists(name), "It exists.")
        self.assertNotIn(name, self._listed(name))

    def test_threads_save_at_the_same_time(self) -> None:
        storage, barrier = self.get_storage(), threading.Barrier(2)
        files = {self._new_name(): _DATA, self._new_name(): _DATA[::-1]}

        def save(item: tuple[str, bytes]) -> None:
            try:
                storage.save(item[0], _Meeting(item[1], barrier))
            finally:
                connections.close_all()

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(save, files.items()))

        for name, data in files.items():
            self._assert_same(self._read(name), data)

    # open()

    def test_a_file_can_be_read_in_chunks(self) -> None:
        with self.get_storage().open(self._save(ContentFile(_DATA))) as file:
            self._assert_same(b"".join(file.chunks()), _DATA)
            self._assert_same(b"".join(file.chunks()), _DATA)

    def test_a_file_can_seek(self) -> None:
        with self.get_storage().open(self._save(ContentFile(_DATA))) as file:
            for offset in (3 * _PIECE + 1, 5, len(_DATA) - 7):
                file.seek(offset)
                self.assertEqual(file.tell(), offset)
                self.assertEqual(file.read(9), _DATA[offset:][:9])
            file.seek(-10, os.SEEK_END)
            self.assertEqual(file.read(), _DATA[-10:])

    def test_two_files_can_be_read_at_the_same_time(self) -> None:
        storage = self.get_storage()
        files = [self._save(ContentFile(_DATA)), self._save(ContentFile(_DATA[::-1]))]

        with storage.open(files[0]) as first, storage.open(files[1]) as second:
            pairs = zip(first.chunks(_PIECE), second.chunks(_PIECE), strict=True)
            read = [b"".join(pieces) for pieces in zip(*pairs, strict=True)]

        self._assert_same(b"".join(read), _DATA + _DATA[::-1])

    def test_open_raises_for_a_file_that_does_not_exist(self) -> None:
        self._assert_open_raises(self._new_name())

    def test_a_file_whose_bytes_are_missing_does_not_end_early(self) -> None:
        name = self._save(ContentFile(_DATA))

        with self.get_storage().open(name) as file:
            read = file.read(1)
            self.get_storage().delete(name)
            try:
                read += file.read()
            except Exception:
                return  # It says that bytes are missing.

        self.assertEqual(len(read), len(_DATA), "It ended early, without an error.")

    # delete()

    def test_delete_removes_the_file(self) -> None:
        name = self._save(ContentFile(_DATA))

        self.get_storage().delete(name)

        self.assertFalse(self.get_storage().exists(name), "It exists.")
        self._assert_open_raises(name)

    def test_delete_accepts_a_name_that_does_not_exist(self) -> None:
        self.get_storage().delete(self._new_name())

    # What recovery needs, and what is optional.

    def test_a_file_that_was_just_saved_has_a_new_modification_time(self) -> None:
        with _temporary_file() as content:
            os.utime(content.temporary_file_path(), (0, 0))
            name = self._save(content)

        modified_at = self._optional(self.get_storage().get_modified_time, name)

        age = datetime.now(timezone.utc) - modified_at.astimezone(timezone.utc)
        self.assertLess(abs(age), timedelta(minutes=5))

    def test_listdir_finds_the_file(self) -> None:
        name = self._save(ContentFile(_DATA))
        database, folder, file = name.split("/")
        storage = self.get_storage()

        self.assertIn(folder, self._optional(storage.listdir, database)[0])
        self.assertIn(file, storage.listdir(f"{database}/{folder}")[1])

    # write_at()

    def test_write_at_makes_a_file_of_its_parts(self) -> None:
        name = self._new_name()

        for offset in range(0, len(_DATA), 3 * _PIECE):
            part = _ChunksWithoutSize(_DATA[offset:][: 3 * _PIECE])
            self._write_at(name, offset, part)

        self._assert_same(self._read(name), _DATA)

    def test_write_at_replaces_a_part_that_comes_again(self) -> None:
        name = self._new_name()
        self._write_at(name, 0, ContentFile(_DATA[:_PIECE]))
        self._write_at(name, _PIECE, ContentFile(b"x" * 2 * _PIECE))

        for offset in (_PIECE, 2 * _PIECE):
            self._write_at(name, offset, ContentFile(_DATA[offset:][:_PIECE]))

        self._assert_same(self._read(name), _DATA[: 3 * _PIECE])

    def test_write_at_replaces_the_first_part_if_it_comes_again(self) -> None:
        name = self._new_name()
        self._write_at(name, 0, ContentFile(b"x" * _PIECE))

        self._write_at(name, 0, ContentFile(_DATA[:_PIECE]))

        self._assert_same(self._read(name), _DATA[:_PIECE])

    def test_write_at_raises_for_a_file_that_is_gone(self) -> None:
        name = self._new_name()
        self._write_at(name, 0, ContentFile(_DATA[:_PIECE]))
        self.get_storage().delete(name)

        with self.assertRaises(FileNotFoundError):
            self._write_at(name, _PIECE, ContentFile(_DATA[:_PIECE]))

    def test_delete_removes_a_file_that_is_not_complete(self) -> None:
        name = self._new_name()
        self._write_at(name, 0, ContentFile(_DATA[:_PIECE]))

        self.get_storage().delete(name)

        self.assertNotIn(name, self._listed(name))

    # Each call uses a new storage, as another process does.

    def _new_name(self) -> str:
        """Return a name as the package makes it, and delete its file after the test."""
        name = staged_name(uuid.uuid4(), DEFAULT_DB_ALIAS)
        self.addCleanup(self._remove, name)
        return name

    def _remove(self, name: str) -> None:
        with suppress(Exception):  # A test has found what is wrong with it.
            self.get_storage().delete(name)

    def _save(self, content: File[bytes]) -> str:
        return self.get_storage().save(self._new_name(), content)

    def _read(self, name: str) -> bytes:
        with self.get_storage().open(name) as file:
            return bytes(file.read())

    def _write_at(self, name: str, offset: int, content: File[bytes]) -> None:
        storage: Any = self.get_storage()
        if not hasattr(storage, "write_at"):
            self.skipTest("This storage has no write_at(), which is optional.")
        storage.write_at(name, offset, content)

    def _assert_open_raises(self, name: str) -> None:
        with self.assertRaises(Exception):  # noqa: B017 - each storage raises its own.
            self._read(name)

    def _assert_same(self, read: bytes, written: bytes) -> None:
        # assertEqual() would take minutes to describe the difference.
        if read != written:
            self.fail(f"{len(read)} bytes were read that are not the {len(written)} written.")

    def _listed(self, name: str) -> list[str]:
        folder = name.rpartition("/")[0]
        try:
            return [f"{folder}/{file}" for file in self.get_storage().listdir(folder)[1]]
        except (FileNotFoundError, NotImplementedError):
            return []

    def _optional(self, method: Callable[[str], Any], name: str) -> Any:
        try:
            return method(name)
        except NotImplementedError:
            self.skipTest(f"This storage has no {method.__name__}(), which is optional.")


class _ChunksWithoutSize(_ContentFile):
    """Content whose ``chunks()`` takes no size."""

    def chunks(self) -> Iterator[bytes]:  # type: ignore[override]
        return super().chunks(_PIECE)


class _BrokenOffError(Exception):
    """The content cannot be read to its end."""


class _BrokenOff(_ContentFile):
    """Content that breaks off after a few pieces."""

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        self.seek(0)
        for _ in range(3):
            yield self.read(_PIECE)
        raise _BrokenOffError

    def read(self, size: int = -1) -> bytes:
        if size < 0 or self.tell() + size > 3 * _PIECE:
            raise _BrokenOffError
        return bytes(self.file.read(size))


class _Meeting(_ContentFile):
    """Content that is read to its middle, and then waits until another one has come there."""

    def __init__(self, content: bytes, barrier: threading.Barrier) -> None:
        super().__init__(content)
        self._barrier = barrier

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        for number, chunk in enumerate(super().chunks(_PIECE)):
            if number == 5:
                # A storage may save one file after the other, too.
                with suppress(threading.BrokenBarrierError):
                    self._barrier.wait(1)
            yield chunk


def _temporary_file() -> TemporaryUploadedFile:
    content = TemporaryUploadedFile("image", "image/jpeg", len(_DATA), None)
    content.write(_DATA)
    content.flush()
    content.seek(0)
    return content
