"""``StagingStorageTests`` passes for the package's storages, and finds each rule that is broken."""

import os
import unittest

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, InMemoryStorage, Storage
from django.test import SimpleTestCase, TestCase, TransactionTestCase

from django_async_forms.storage import DatabaseStorage, StagingFileSystemStorage
from django_async_forms.test import StagingStorageTests

THREADS = "test_threads_save_at_the_same_time"


class DatabaseStorageTests(StagingStorageTests, TestCase):
    test_threads_save_at_the_same_time = None  # Below: it commits.

    def get_storage(self):
        return DatabaseStorage("default")


class DatabaseStorageInThreadsTests(TransactionTestCase):
    def test_threads_save_at_the_same_time(self):
        assert results(lambda: DatabaseStorage("default"), THREADS) == {THREADS: "passed"}


class StagingFileSystemStorageTests(StagingStorageTests, SimpleTestCase):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path):
        self.folder = tmp_path

    def get_storage(self):
        return StagingFileSystemStorage(self.folder)


def results(make, *names):
    """Run the tests on the storages that ``make`` makes; return the result of each by its name."""

    class Tests(StagingStorageTests, SimpleTestCase):
        databases = "__all__"

        def get_storage(self):
            return make()

    names = names or unittest.defaultTestLoader.getTestCaseNames(Tests)
    result = unittest.TestResult()
    unittest.TestSuite(Tests(name) for name in names).run(result)
    lists = {"failed": [*result.failures, *result.errors], "skipped": result.skipped}
    found = {test._testMethodName: kind for kind, tests in lists.items() for test, _ in tests}
    return {name: found.get(name, "passed") for name in names}


class Keeping(StagingFileSystemStorage):
    """A staging storage without faults, whose every part can get one."""

    def __init__(self, location):
        super().__init__(location, fsync=False)


class InOneProcess(InMemoryStorage):
    def __init__(self, location):
        super().__init__()


class Public(Keeping):
    def _save(self, name, content):
        name = super()._save(name, content)
        os.chmod(self.path(name), 0o644)
        return name


class Renaming(Keeping):
    def _save(self, name, content):
        return super()._save(f"{name}.jpg", content)


class AskingForASize(Keeping):
    def _copy(self, content, path):
        super()._copy(ContentFile(b"".join(content.chunks(1024))), path)


class Closing(Keeping):
    def _save(self, name, content):
        with content:
            return super()._save(name, content)


class ReadingOnce(Keeping):
    """Reads the content from where it is, so nothing the second time."""

    def _copy(self, content, path):
        super()._copy(ContentFile(content.read()), path)


class Moving(Keeping):
    def _save(self, name, content):
        name = super()._save(name, content)
        if hasattr(content, "temporary_file_path"):
            os.unlink(content.temporary_file_path())
        return name


class KeepingHalf(Keeping):
    def _copy(self, content, path):
        with open(path, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            for chunk in content.chunks():
                file.write(chunk)


class SharingABuffer(Keeping):
    """Collects what it saves in one place. ``get_storage()`` is called once for two threads."""

    _pieces: list

    def _copy(self, content, path):
        self._pieces = []
        for chunk in content.chunks():
            self._pieces.append(chunk)
        super()._copy(ContentFile(b"".join(self._pieces)), path)


class ChunksOfHalf(File):
    def chunks(self, chunk_size=None):
        yield from list(super().chunks(chunk_size))[:1]


class HalfInChunks(Keeping):
    def _open(self, name, mode="rb"):
        return ChunksOfHalf(open(self.path(name), mode))


class Stream(File):
    """Is read from the start to the end. Only a rewind is possible."""

    def seek(self, offset, whence=os.SEEK_SET):
        return self.file.seek(0)


class NotSeeking(Keeping):
    def _open(self, name, mode="rb"):
        return Stream(open(self.path(name), mode))


class OpeningOne(Keeping):
    """Reads all files by one file object."""

    _file = None

    def _open(self, name, mode="rb"):
        if self._file:
            self._file.file.close()
            self._file.file = open(self.path(name), mode)
        else:
            self._file = File(open(self.path(name), mode))
        return self._file


class EmptyIfMissing(Keeping):
    def _open(self, name, mode="rb"):
        try:
            return super()._open(name, mode)
        except FileNotFoundError:
            return ContentFile(b"")


class Ending(File):
    """A file that ends where its bytes have been removed."""

    def read(self, size=-1):
        return self.file.read(size) if os.path.exists(self.file.name) else b""


class EndingEarly(Keeping):
    def _open(self, name, mode="rb"):
        return Ending(open(self.path(name), mode))


class NotDeleting(Keeping):
    def delete(self, name):
        pass


class DeletingOnce(Keeping):
    def delete(self, name):
        os.unlink(self.path(name))


class KeepingTheTime(Keeping):
    def _save(self, name, content):
        path = content.temporary_file_path() if hasattr(content, "temporary_file_path") else None
        modified = path and os.stat(path).st_mtime
        name = super()._save(name, content)
        if path:
            os.utime(self.path(name), (modified, modified))
        return name


class ListingNothing(Keeping):
    def listdir(self, path):
        return [], []


class Appending(Keeping):
    def write_at(self, name, offset, content):
        super().write_at(name, self.size(name) if self.exists(name) else 0, content)


class WritingInOnePiece(Keeping):
    def write_at(self, name, offset, content):
        super().write_at(name, offset, ContentFile(b"".join(content.chunks(2**20))))


class BeginningAnew(Keeping):
    def write_at(self, name, offset, content):
        if offset and not self.exists(name):
            offset = 0
        super().write_at(name, offset, content)


class WritingOnce(Keeping):
    """Refuses to begin a file for the second time."""

    def write_at(self, name, offset, content):
        if offset == 0 and self.exists(name):
            raise SuspiciousFileOperation(name)
        super().write_at(name, offset, content)


class DeletingWholeFiles(Keeping):
    """Does not see a file whose parts have not all come."""

    def delete(self, name):
        path = self.path(name)
        if os.path.exists(path) and os.stat(path).st_size > 64 * 1024:
            super().delete(name)


#: Each test, and a storage that it finds.
BROKEN = {
    "test_another_process_reads_the_file": InOneProcess,
    "test_other_users_cannot_read_the_file": Public,
    "test_save_returns_the_given_name": Renaming,
    "test_save_calls_chunks_without_a_size": AskingForASize,
    "test_save_leaves_the_content_open": Closing,
    "test_save_leaves_a_temporary_file_where_it_is": Moving,
    "test_save_keeps_nothing_of_a_file_if_it_raises": KeepingHalf,
    "test_threads_save_at_the_same_time": SharingABuffer,
    "test_a_file_can_be_read_in_chunks": HalfInChunks,
    "test_a_file_can_seek": NotSeeking,
    "test_two_files_can_be_read_at_the_same_time": OpeningOne,
    "test_open_raises_for_a_file_that_does_not_exist": EmptyIfMissing,
    "test_a_file_whose_bytes_are_missing_does_not_end_early": EndingEarly,
    "test_delete_removes_the_file": NotDeleting,
    "test_delete_accepts_a_name_that_does_not_exist": DeletingOnce,
    "test_a_file_that_was_just_saved_has_a_new_modification_time": KeepingTheTime,
    "test_listdir_finds_the_file": ListingNothing,
    "test_write_at_makes_a_file_of_its_parts": WritingInOnePiece,
    "test_write_at_replaces_a_part_that_comes_again": Appending,
    "test_write_at_replaces_the_first_part_if_it_comes_again": WritingOnce,
    "test_write_at_raises_for_a_file_that_is_gone": BeginningAnew,
    "test_delete_removes_a_file_that_is_not_complete": DeletingWholeFiles,
}


@pytest.mark.parametrize(("name", "storage"), BROKEN.items(), ids=lambda value: str(value))
def test_a_storage_that_breaks_a_rule_is_found(name, storage, tmp_path):
    assert results(lambda: storage(tmp_path), name) == {name: "failed"}
    assert results(lambda: Keeping(tmp_path), name) == {name: "passed"}


def test_a_storage_that_reads_its_content_from_where_it_is_is_found(tmp_path):
    name = "test_save_leaves_the_content_open"

    assert results(lambda: ReadingOnce(tmp_path), name) == {name: "failed"}


def test_each_test_finds_a_storage():
    assert set(BROKEN) == set(unittest.defaultTestLoader.getTestCaseNames(DatabaseStorageTests)) | {
        THREADS
    }


def test_a_plain_folder_breaks_these_rules(tmp_path):
    found = results(lambda: FileSystemStorage(tmp_path))

    assert {name for name, result in found.items() if result == "failed"} == {
        "test_a_file_that_was_just_saved_has_a_new_modification_time",
        "test_other_users_cannot_read_the_file",
        "test_save_leaves_a_temporary_file_where_it_is",
        "test_save_keeps_nothing_of_a_file_if_it_raises",
    }


class Least(Storage):
    """Has only what a staging storage must have."""

    def __init__(self, location):
        self._files = Keeping(location)
        self._save, self._open = self._files._save, self._files._open
        self.delete, self.exists = self._files.delete, self._files.exists


def test_what_is_optional_is_skipped(tmp_path):
    found = results(lambda: Least(tmp_path))

    assert {name for name, result in found.items() if result == "skipped"} == {
        "test_a_file_that_was_just_saved_has_a_new_modification_time",
        "test_delete_removes_a_file_that_is_not_complete",
        "test_listdir_finds_the_file",
        "test_other_users_cannot_read_the_file",
        "test_write_at_makes_a_file_of_its_parts",
        "test_write_at_raises_for_a_file_that_is_gone",
        "test_write_at_replaces_a_part_that_comes_again",
        "test_write_at_replaces_the_first_part_if_it_comes_again",
    }
    assert "failed" not in found.values()


def test_a_test_case_without_a_storage_says_what_it_lacks():
    class Tests(StagingStorageTests, SimpleTestCase):
        pass

    with pytest.raises(NotImplementedError, match="get_storage"):
        Tests().get_storage()
