"""
Django's tests of storages, on the two staging storages.

Without the package, they run on the most similar storages of Django. A test that looks into a
folder is replaced by one that asks the storage. What Django's tests do not ask is asked in
``tests/test_database_storage.py``, also of Django's storage.
"""

import os
import shutil
import tempfile
import threading
from pathlib import Path

from django.core.files.base import ContentFile
from django.db import connections
from django.test import (
    SimpleTestCase,
    TestCase,
    TransactionTestCase,
    override_settings,
    skipUnlessDBFeature,
)
from file_storage import test_generate_filename, test_inmemory_storage
from file_storage import tests as file_storage

#: Whether the suites run without the package.
PLAIN = "SUITES_PLAIN" in os.environ

if PLAIN:
    from django.core.files.storage import FileSystemStorage as Folder
    from django.core.files.storage import InMemoryStorage as Database
else:
    from django_async_forms.storage import DatabaseStorage, StagingFileSystemStorage

    class Folder(StagingFileSystemStorage):
        """The staging storage of files, with the arguments that Django's tests give."""

        def __init__(self, location=None, base_url=None, **options):
            super().__init__(location)

    class Database(DatabaseStorage):
        """The staging storage of rows, with the arguments that Django's tests give."""

        def __init__(self, location=None, base_url=None, **options):
            super().__init__("default")


class InFolder(SimpleTestCase):
    """A test of the storage of files."""

    def setUp(self):
        super().setUp()
        self.temp_dir = self.storage_dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.temp_dir)
        self.storage = Folder(self.temp_dir)


class InDatabase(TestCase):
    """A test of the storage of rows."""

    def setUp(self):
        super().setUp()
        self.storage = Database()


class FolderStorageTests(file_storage.FileStorageTests):
    storage_class = Folder


class DatabaseStorageTests(file_storage.FileStorageTests, TestCase):
    storage_class = Database


class FolderGenerateFilenameTests(test_generate_filename.StorageGenerateFilenameTests):
    def storage_class(self):
        return Folder("staging")


class DatabaseGenerateFilenameTests(test_generate_filename.StorageGenerateFilenameTests):
    storage_class = Database


class DatabaseIOTests(test_inmemory_storage.MemoryStorageIOTests, TestCase):
    def setUp(self):
        self.storage = Database()


class FolderPathParsingTests(file_storage.FileStoragePathParsing):
    def setUp(self):
        super().setUp()
        self.storage = Folder(self.storage_dir)


class FolderContentTests(file_storage.ContentFileStorageTestCase):
    def setUp(self):
        super().setUp()
        storage_dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, storage_dir)
        self.storage = Folder(storage_dir)


class DatabaseContentTests(file_storage.ContentFileStorageTestCase, TestCase):
    def setUp(self):
        super().setUp()
        self.storage = Database()


class FolderFileLikeObjectTests(file_storage.FileLikeObjectTestCase):
    def setUp(self):
        super().setUp()
        self.storage = Folder(self.temp_dir)


class DatabaseFileLikeObjectTests(file_storage.FileLikeObjectTestCase):
    databases = ("default",)

    def setUp(self):
        super().setUp()
        self.storage = Database()


class FolderRaceTests(file_storage.FileSaveRaceConditionTest):
    def setUp(self):
        super().setUp()
        self.storage = Folder(self.storage_dir)


@skipUnlessDBFeature("test_db_allows_multiple_connections")
class DatabaseRaceTests(TransactionTestCase):
    """Django's test of two simultaneous saves under one name, which lists a folder."""

    available_apps = []

    def test_race_condition(self):
        storage = Database()
        names = []

        def save():
            try:
                names.append(storage.save("conflict", file_storage.SlowFile(b"Data")))
            finally:
                connections.close_all()

        threads = [threading.Thread(target=save) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        first, second = sorted(names)
        self.assertEqual(first, "conflict")
        self.assertRegex(second, f"conflict_{file_storage.FILE_SUFFIX_REGEX}")
        self.assertEqual(sorted(storage.listdir("")[1]), [first, second])


class DatabasePathParsingTests(InDatabase):
    """Django's tests of names with dots, which list a folder."""

    def names(self, name):
        for content in ("1", "2"):
            self.storage.save(f"dotted.path/{name}", ContentFile(content))
        return sorted(self.storage.listdir("dotted.path")[1])

    def test_directory_with_dot(self):
        first, second = self.names("test")
        self.assertEqual(first, "test")
        self.assertRegex(second, f"test_{file_storage.FILE_SUFFIX_REGEX}")

    def test_first_character_dot(self):
        first, second = self.names(".test")
        self.assertEqual(first, ".test")
        self.assertRegex(second, f".test_{file_storage.FILE_SUFFIX_REGEX}")


@override_settings(FILE_UPLOAD_PERMISSIONS=0o654, FILE_UPLOAD_DIRECTORY_PERMISSIONS=0o765)
class FolderPermissionsTests(InFolder):
    """Django's tests of permissions, with the modes of a private folder."""

    def test_file(self):
        path = Path(self.storage.path(self.storage.save("name", ContentFile("data"))))
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)

    def test_directories(self):
        name = self.storage.save("the_directory/subdir/the_file", ContentFile("data"))
        parents = Path(self.storage.path(name)).parents
        self.assertEqual([parents[i].stat().st_mode & 0o777 for i in (0, 1)], [0o700, 0o700])
