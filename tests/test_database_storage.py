"""``DatabaseStorage`` is a Django storage that keeps its files in rows."""

import ast
import io
import os
import re
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import InMemoryUploadedFile, TemporaryUploadedFile
from django.db import connection, transaction
from django.db.models.signals import post_delete
from django.utils import timezone
from PIL import Image

from django_async_forms import chunks
from django_async_forms.chunks import CHUNK_SIZE
from django_async_forms.models import StoredChunk
from django_async_forms.storage import DatabaseStorage, StagingFileSystemStorage
from tests import pictures
from tests.project.models import Measured

pytestmark = pytest.mark.django_db


@pytest.fixture
def storage():
    return DatabaseStorage()


def content_of(storage, name):
    with storage.open(name) as file:
        return file.read()


@pytest.mark.parametrize(
    "size", [0, 1, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 3 * CHUNK_SIZE + 7]
)
def test_a_file_of_any_size_comes_back_byte_for_byte(storage, size):
    data = pictures.noise(size)

    name = storage.save("file.bin", ContentFile(data))

    assert content_of(storage, name) == data
    assert storage.size(name) == size


def test_chunks_of_odd_sizes_are_joined(storage):
    class Odd(File):
        def chunks(self, chunk_size=None):
            yield from (b"a", b"", b"bc" * CHUNK_SIZE, b"d" * 5)

    name = storage.save("odd.bin", Odd(io.BytesIO(b"?"), "odd.bin"))

    assert content_of(storage, name) == b"a" + b"bc" * CHUNK_SIZE + b"d" * 5


@pytest.mark.skipif(connection.vendor != "postgresql", reason="No other database compresses.")
def test_postgresql_does_not_compress_a_file(storage):
    data = bytes(CHUNK_SIZE)

    storage.save("file.bin", ContentFile(data))

    # The stored value is the data with four bytes for its length.
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_column_size(data) FROM {StoredChunk._meta.db_table}")
        assert cursor.fetchone()[0] >= len(data)


def test_a_file_can_be_read_from_anywhere(storage):
    data = pictures.noise(2 * CHUNK_SIZE + 100)
    name = storage.save("file.bin", ContentFile(data))

    with storage.open(name) as file:
        file.seek(CHUNK_SIZE - 2)
        assert file.read(4) == data[CHUNK_SIZE - 2 : CHUNK_SIZE + 2]
        assert file.tell() == CHUNK_SIZE + 2
        file.seek(-3, io.SEEK_END)
        assert file.read() == data[-3:]
        file.seek(10)
        file.seek(5, io.SEEK_CUR)
        assert file.read(2) == data[15:17]
        file.seek(len(data) + 5)
        assert file.read() == b""
        with pytest.raises(ValueError):
            file.seek(-1)


def test_a_file_has_lines_and_chunks(storage):
    name = storage.save("lines.txt", ContentFile(b"one\ntwo\nthree"))

    with storage.open(name) as file:
        assert list(file) == [b"one\n", b"two\n", b"three"]
        assert b"".join(file.chunks(4)) == b"one\ntwo\nthree"


class _Noting:
    """A cursor of ``chunks`` that notes the row of each SELECT."""

    def __init__(self, cursor, noted):
        self._cursor = cursor
        self._noted = noted

    def execute(self, sql, params, **kwargs):
        if sql.startswith("SELECT"):
            self._noted.append(params[1] // CHUNK_SIZE)
        return self._cursor.execute(sql, params, **kwargs)

    def fetchone(self):
        return self._cursor.fetchone()


@pytest.fixture
def rows_read(monkeypatch):
    """The numbers of the fetched rows in the file, one for each statement."""
    noted = []
    open_cursor = chunks._cursor

    @contextmanager
    def noting_cursor(connection):
        with open_cursor(connection) as cursor:
            yield _Noting(cursor, noted)

    monkeypatch.setattr(chunks, "_cursor", noting_cursor)
    return noted


def read_all(file):
    return file.read()


def read_all_after_a_piece(file):
    return file.read(CHUNK_SIZE + 5) + file.read()


def read_all_after_a_seek(file):
    file.seek(0, io.SEEK_END)
    assert file.read() == b""
    file.seek(0)
    return file.read(-1)


def read_pieces(size):
    return lambda file: b"".join(iter(lambda: file.read(size), b""))


def read_into_a_buffer(file):
    buffer = bytearray(file.size)
    return bytes(buffer[: file.readinto(buffer)])


def read_lines(file):
    return b"".join(iter(file.readline, b""))


READING = {
    "read()": read_all,
    "read(n) and read()": read_all_after_a_piece,
    "seek() and read()": read_all_after_a_seek,
    "read(1,000)": read_pieces(1_000),
    "read(100,000)": read_pieces(100_000),
    "read(300,000)": read_pieces(300_000),
    "readinto()": read_into_a_buffer,
    "readline()": read_lines,
    "readlines()": lambda file: b"".join(file.readlines()),
    "iteration": lambda file: b"".join(file),
    "chunks()": lambda file: b"".join(file.chunks()),
    "chunks(100,000)": lambda file: b"".join(file.chunks(100_000)),
}


@pytest.mark.parametrize("way", READING)
def test_each_row_of_a_file_is_fetched_once_however_it_is_read(storage, rows_read, way):
    data = pictures.noise(9 * CHUNK_SIZE + 100)
    name = storage.save("file.bin", ContentFile(data))

    with storage.open(name) as file:
        assert READING[way](file) == data

    assert rows_read == list(range(10))


def test_a_piece_of_a_file_takes_the_rows_that_it_is_in(storage, rows_read):
    data = pictures.noise(5 * CHUNK_SIZE)
    name = storage.save("file.bin", ContentFile(data))

    with storage.open(name) as file:
        file.seek(3 * CHUNK_SIZE - 5)
        assert file.read(10) == data[3 * CHUNK_SIZE - 5 : 3 * CHUNK_SIZE + 5]

    # The first one came with the size.
    assert rows_read == [0, 2, 3]


def test_pillow_reads_an_image_from_the_storage(storage):
    name = storage.save("dune.jpg", ContentFile(pictures.jpeg(640, 480)))

    with storage.open(name) as file, Image.open(file) as image:
        image.load()
        assert image.size == (640, 480)


def test_a_missing_file_is_not_found(storage):
    assert not storage.exists("missing")
    for ask in (storage.open, storage.size):
        with pytest.raises(FileNotFoundError, match="missing"):
            ask("missing")


def test_a_part_of_a_file_that_is_gone_is_not_written(storage):
    storage.write_at("file.bin", 0, ContentFile(b"first"))
    storage.delete("file.bin")

    with pytest.raises(FileNotFoundError):
        storage.write_at("file.bin", 5, ContentFile(b"second"))

    assert not StoredChunk.objects.exists()


def test_a_deleted_file_is_gone_and_can_be_deleted_again(storage):
    name = storage.save("file.bin", ContentFile(b"data"))

    storage.delete(name)
    storage.delete(name)

    assert not storage.exists(name)
    assert not StoredChunk.objects.exists()


def test_a_second_file_of_a_name_gets_another_name(each):
    first = each.save("a/file.bin", ContentFile(b"first"))
    second = each.save("a/file.bin", ContentFile(b"second"))

    assert first != second
    assert content_of(each, first) == b"first"
    assert content_of(each, second) == b"second"


def test_names_that_differ_in_case_are_two_names(storage):
    assert storage.save("Dune.jpg", ContentFile(b"large")) == "Dune.jpg"
    assert storage.save("dune.jpg", ContentFile(b"small")) == "dune.jpg"
    assert content_of(storage, "Dune.jpg") == b"large"


def test_names_may_hold_any_script(storage):
    assert content_of(storage, storage.save("沙丘/düne 🏜.jpg", ContentFile(b"data"))) == b"data"
    assert storage.listdir("沙丘") == ([], ["düne 🏜.jpg"])


def test_a_folder_lists_its_folders_and_its_files(storage):
    for name in ("top.bin", "a/one.bin", "a/two.bin", "a/deep/three.bin", "ab/four.bin"):
        storage.save(name, ContentFile(b"data"))

    assert storage.listdir("") == (["a", "ab"], ["top.bin"])
    assert storage.listdir("a") == (["deep"], ["one.bin", "two.bin"])
    assert storage.listdir("a/") == storage.listdir("a")
    assert storage.listdir("nowhere") == ([], [])


def test_folders_that_differ_in_case_are_two_folders(storage):
    storage.save("Dunes/one.bin", ContentFile(b"data"))
    storage.save("dunes/two.bin", ContentFile(b"data"))

    assert storage.listdir("dunes") == ([], ["two.bin"])
    assert storage.listdir("") == (["Dunes", "dunes"], [])


def test_a_rollback_removes_the_file(storage):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        storage.save("file.bin", ContentFile(b"data"))
        raise ZeroDivisionError

    assert not storage.exists("file.bin")


def test_a_file_can_be_copied_within_the_storage(storage):
    data = pictures.noise(2 * CHUNK_SIZE)
    name = storage.save("file.bin", ContentFile(data))

    with storage.open(name) as file:
        copy = storage.save("copy.bin", file)

    assert content_of(storage, copy) == data


@pytest.mark.django_db(databases=["default", "other"])
def test_a_storage_keeps_its_files_in_the_database_that_it_names():
    name = DatabaseStorage(using="other").save("file.bin", ContentFile(b"data"))

    assert not DatabaseStorage().exists(name)
    assert DatabaseStorage(using="other").exists(name)


def test_an_image_field_can_use_the_storage(use_final_storage, in_memory):
    use_final_storage(DatabaseStorage)
    data = pictures.jpeg(40, 30)
    Measured.objects.create(title="Dune", image=in_memory(data=data))

    measured = Measured.objects.get()

    assert (measured.image.width, measured.image.height) == (40, 30)
    for _ in range(2):
        with measured.image.open() as file:
            assert file.read() == data
    measured.image.delete()
    assert not StoredChunk.objects.exists()


def test_a_folder_may_be_named_like_a_pattern(storage):
    storage.save("a%_/one.bin", ContentFile(b"data"))
    storage.save("abc/two.bin", ContentFile(b"data"))

    assert storage.listdir("a%_") == ([], ["one.bin"])


def test_a_name_that_is_too_long_for_the_table_is_shortened(storage):
    name = storage.save(f"a/{'x' * 300}.jpg", ContentFile(b"data"))

    assert len(name) <= 255
    assert name.endswith(".jpg")
    assert content_of(storage, name) == b"data"


def test_times_of_files_are_local_and_naive_without_time_zones(storage, settings):
    settings.TIME_ZONE = "Asia/Tokyo"
    settings.USE_TZ = False

    name = storage.save("file.bin", ContentFile(b"data"))

    saved_at = storage.get_created_time(name)
    assert timezone.is_naive(saved_at)
    assert abs(saved_at - timezone.now()).total_seconds() < 60


def test_times_of_files_do_not_depend_on_the_time_zone_of_the_server(storage):
    if connection.vendor == "mysql":
        with connection.cursor() as cursor:
            cursor.execute("SET time_zone = '+05:00'")
    try:
        name = storage.save("file.bin", ContentFile(b"data"))
    finally:
        if connection.vendor == "mysql":
            with connection.cursor() as cursor:
                cursor.execute("SET time_zone = DEFAULT")

    assert abs(storage.get_created_time(name) - timezone.now()).total_seconds() < 60


@contextmanager
def measured_memory():
    """Yield a function that returns the peak memory since the start of the block."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


LARGE = 16 * 1024 * 1024


@pytest.fixture
def large(tmp_path):
    """A large file."""
    with (tmp_path / "large.bin").open("wb+") as file:
        file.truncate(LARGE)
        yield File(file)


@pytest.mark.parametrize("debug", [False, True], ids=["without DEBUG", "with DEBUG"])
def test_a_large_file_is_never_in_memory_as_a_whole(storage, large, debug, settings):
    settings.DEBUG = debug

    with measured_memory() as peak:
        name = storage.save("large.bin", large)
        with storage.open(name) as file:
            assert sum(len(chunk) for chunk in file.chunks()) == LARGE
        assert peak() < LARGE / 4


@pytest.mark.parametrize("first", [0, 5])
def test_reading_a_file_as_a_whole_takes_little_more_memory_than_the_file(storage, large, first):
    name = storage.save("large.bin", large)

    with storage.open(name) as file, measured_memory() as peak:
        file.read(first)
        assert len(file.read()) == LARGE - first
        assert peak() < LARGE + 3 * CHUNK_SIZE


def test_a_large_file_is_not_read_to_be_deleted(connect, storage, large):
    name = storage.save("large.bin", large)

    def audit(**kwargs):
        """A receiver as in an app that records deletions."""

    connect(post_delete, audit)
    with measured_memory() as peak:
        storage.delete(name)
        assert peak() < LARGE / 4
    assert not storage.exists(name)


@pytest.mark.parametrize(
    ("module", "below"),
    [("isolation", set()), ("chunks", {"isolation"}), ("storage", {"background", "chunks"})],
    ids=["isolation", "chunks", "storage"],
)
def test_the_modules_of_the_storage_do_not_import_the_models(module, below):
    source = Path(chunks.__file__).with_name(f"{module}.py").read_text()

    # Including imports for type hints.
    imports = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    assert {node.module for node in imports if node.level} == below


# Both staging storages do the same as FileSystemStorage


@pytest.fixture(params=["DatabaseStorage", "StagingFileSystemStorage", "FileSystemStorage"])
def each(request, tmp_path):
    """Each staging storage, and the storage of Django that they are compared with."""
    if request.param == "DatabaseStorage":
        return DatabaseStorage()
    if request.param == "StagingFileSystemStorage":
        return StagingFileSystemStorage(tmp_path / "files")
    return FileSystemStorage(tmp_path / "files")


def test_a_file_may_be_named_by_a_path(each):
    path = Path("a/file.bin")

    assert each.save(path, ContentFile(b"data")) == "a/file.bin"

    assert each.exists(path)
    assert each.size(path) == 4
    assert each.get_modified_time(path) == each.get_modified_time("a/file.bin")
    assert content_of(each, path) == b"data"
    assert each.listdir(Path("a")) == ([], ["file.bin"])
    each.delete(path)
    assert not each.exists("a/file.bin")


def test_a_name_is_the_shortest_that_means_the_same(each):
    assert each.save("a//b/./file.bin", ContentFile(b"data")) == "a/b/file.bin"
    assert each.exists("a/b//file.bin")
    assert each.exists("a/./b/file.bin")
    assert content_of(each, "a/c/../b/file.bin") == b"data"


@pytest.mark.parametrize("name", ["..", "../file.bin", "a/../../file.bin", "/etc/passwd"])
@pytest.mark.parametrize(
    "method",
    [
        "open",
        "exists",
        "size",
        "delete",
        "listdir",
        "get_accessed_time",
        "get_created_time",
        "get_modified_time",
    ],
)
def test_no_method_takes_a_name_that_leaves_the_storage(each, method, name):
    with pytest.raises(SuspiciousFileOperation):
        getattr(each, method)(name)


@pytest.mark.parametrize("mode", ["r", "rt"])
def test_a_file_opened_as_text_gives_text(each, mode):
    name = each.save("text.txt", ContentFile("Dünen\r\nund Meer\n" * 9))

    with each.open(name, mode) as file:
        assert file.read() == "Dünen\nund Meer\n" * 9
        file.seek(0)
        assert file.readline() == "Dünen\n"
        assert list(file) == ["Dünen\n", "und Meer\n"] * 9
        assert "".join(file.chunks(5)) == "Dünen\nund Meer\n" * 9


def test_a_file_keeps_its_mode_when_it_is_opened_again(storage):
    file = storage.open(storage.save("text.txt", ContentFile("Dünen")), "r")
    file.close()

    with file.open() as again:
        assert again.read() == "Dünen"
    with file.open("rb") as again:
        assert again.read() == "Dünen".encode()
    with pytest.raises(ValueError, match="'wb'"):
        file.open("wb")


@pytest.mark.parametrize("mode", ["w", "wb", "ab", "r+b", "x"])
def test_no_mode_opens_a_file_for_writing(storage, mode):
    name = storage.save("file.bin", ContentFile(b"data"))

    with pytest.raises(ValueError, match=f"for reading only.*{re.escape(repr(mode))}"):
        storage.open(name, mode)


def test_a_file_can_be_closed_twice_and_is_not_read_until_it_is_opened_again(each):
    file = each.open(each.save("file.bin", ContentFile(b"data")))
    assert file.read() == b"data"

    file.close()
    file.close()

    assert file.closed
    with pytest.raises(ValueError, match="closed"):
        file.read()
    with file.open("rb") as again:
        assert again.read() == b"data"


def test_a_file_knows_its_size(each):
    name = each.save("file.bin", ContentFile(b"data"))

    with each.open(name) as file:
        assert (file.size, len(file), file.multiple_chunks()) == (4, 4, False)


class WithoutASize(ContentFile):
    """Content whose ``chunks()`` takes no argument, as in Django's own tests."""

    def chunks(self):
        return super().chunks()


@pytest.mark.parametrize(
    "make_content",
    [
        WithoutASize,
        io.BytesIO,
        lambda data: io.BufferedReader(io.BytesIO(data)),
        lambda data: InMemoryUploadedFile(io.BytesIO(data), "image", "a", None, len(data), None),
    ],
    ids=["chunks() without a size", "BytesIO", "read() only", "InMemoryUploadedFile"],
)
def test_all_content_that_django_takes_is_saved(each, make_content):
    data = pictures.noise(2 * CHUNK_SIZE + 5)

    name = each.save("file.bin", make_content(data))

    assert content_of(each, name) == data
    assert each.size(name) == len(data)


@pytest.mark.parametrize(
    "make_content", [ContentFile, io.StringIO, lambda text: WithoutASize(text)]
)
def test_text_is_saved_as_content(each, make_content):
    assert content_of(each, each.save("text.txt", make_content("Dünen"))) == "Dünen".encode()


def test_content_that_was_read_before_is_saved_whole(each):
    content = File(io.BytesIO(b"data"), "file.bin")
    content.read()

    assert content_of(each, each.save("file.bin", content)) == b"data"


def test_content_in_small_pieces_is_saved_in_full_rows(storage):
    class InPieces(ContentFile):
        def chunks(self):
            return super().chunks(1000)

    name = storage.save("file.bin", InPieces(pictures.noise(2 * CHUNK_SIZE + 5)))

    rows = StoredChunk.objects.filter(name=name).order_by("position")
    assert [len(row.data) for row in rows] == [CHUNK_SIZE, CHUNK_SIZE, 5]


def test_saving_content_does_not_close_it(each):
    with TemporaryUploadedFile("test", "text/plain", 1, "utf8") as on_disk:
        on_disk.write(b"1")
        on_disk.seek(0)
        each.save("path/to/test.file", on_disk)
        assert not on_disk.closed
        assert not on_disk.file.closed
        if not os.path.exists(on_disk.temporary_file_path()):  # FileSystemStorage has moved it.
            on_disk.file.close_called = True
    with InMemoryUploadedFile(io.StringIO("1"), "", "test", "text/plain", 1, "utf8") as in_memory:
        each.save("path/to/test.file", in_memory)
        assert not in_memory.closed
        assert not in_memory.file.closed


def test_content_is_saved_under_its_own_name_by_default(each):
    assert each.save(None, ContentFile(b"data", name="file.bin")) == "file.bin"


def test_content_that_cannot_be_read_leaves_no_file(storage):
    class Broken(ContentFile):
        def chunks(self):
            yield b"half"
            raise OSError("cannot be read")

    with pytest.raises(OSError, match="cannot be read"):
        storage.save("file.bin", Broken(b""))

    assert not storage.exists("file.bin")


@pytest.mark.parametrize("get_time", ["get_accessed_time", "get_created_time", "get_modified_time"])
def test_all_times_of_a_file_are_the_time_of_its_saving(each, get_time):
    before = timezone.now()
    name = each.save("file.bin", ContentFile(b"data"))

    saved_at = getattr(each, get_time)(name)
    assert timezone.is_aware(saved_at)
    assert abs(saved_at - before).total_seconds() < 60
    with pytest.raises(FileNotFoundError, match="missing"):
        getattr(each, get_time)("missing")


def test_deleting_needs_a_name(each):
    for nothing in ("", None):
        with pytest.raises(ValueError, match="must be given"):
            each.delete(nothing)
    each.delete("missing")


def test_names_are_shortened_to_max_length(each):
    names = [each.save(f"a/{'x' * 50}.tar.gz", ContentFile(b"data"), max_length=40) for _ in "abc"]

    assert len(set(names)) == 3
    for name in names:
        assert len(name) <= 40
        assert re.fullmatch(r"a/x.*\.tar\.gz", name)
    with pytest.raises(SuspiciousFileOperation, match="max_length"):
        each.save("a/file.bin", ContentFile(b"data"), max_length=5)


@pytest.mark.parametrize("kind", ["in_memory", "on_disk"])
@pytest.mark.django_db(transaction=True)
def test_two_files_saved_under_one_name_at_the_same_time_stay_two_files(
    each, kind, request, monkeypatch
):
    if type(each) is FileSystemStorage:
        pytest.skip("FileSystemStorage moves the second file over the first at times.")
    make = request.getfixturevalue(kind)
    contents = {data: make(data=data) for data in (pictures.jpeg(), pictures.jpeg())}
    both_have_found_it_free = Barrier(2)
    get_available_name = each.get_available_name

    def wait(name, *args, **kwargs):
        free = get_available_name(name, *args, **kwargs)
        if free == "a/file.tar.gz":
            both_have_found_it_free.wait(timeout=20)
        return free

    monkeypatch.setattr(each, "get_available_name", wait)

    def save(data):
        try:
            return data, each.save("a/file.tar.gz", contents[data])
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        saved = dict(threads.map(save, contents))

    first, second = sorted(saved.values(), key=len)
    assert first == "a/file.tar.gz"
    assert second.startswith("a/file_")
    assert second.endswith(".tar.gz")
    for data, name in saved.items():
        assert content_of(each, name) == data


class Blind(DatabaseStorage):
    """A storage in a transaction that does not see a name taken by another one meanwhile."""

    def exists(self, name):
        return False


@pytest.mark.parametrize("savepoint", [True, False])
def test_a_name_that_is_taken_meanwhile_leaves_the_open_transaction_usable(storage, savepoint):
    storage.save("file.bin", ContentFile(b"first"))
    data = pictures.noise(CHUNK_SIZE + 5)

    with transaction.atomic(savepoint=savepoint):
        name = Blind().save("file.bin", ContentFile(data))
        Measured.objects.create(title="Dune")

    assert name != "file.bin"
    assert Measured.objects.exists()
    assert content_of(storage, "file.bin") == b"first"
    assert content_of(storage, name) == data


def test_a_stream_whose_name_is_taken_meanwhile_is_not_saved_in_part(storage):
    class Stream(io.BytesIO):
        def seek(self, *args):
            raise io.UnsupportedOperation("not seekable")

    storage.save("file.bin", ContentFile(b"first"))

    with pytest.raises(io.UnsupportedOperation):
        Blind().save("file.bin", File(Stream(bytes(2 * CHUNK_SIZE)), "file.bin"))

    assert storage.listdir("") == ([], ["file.bin"])
    assert content_of(storage, "file.bin") == b"first"


# A file that changes, or a connection that ends, while a file is read


@pytest.mark.parametrize("first", [0, CHUNK_SIZE], ids=["all of it", "its end"])
def test_a_file_that_is_deleted_while_it_is_read_is_not_found(storage, first):
    name = storage.save("file.bin", ContentFile(pictures.noise(2 * CHUNK_SIZE)))

    with storage.open(name) as file:
        file.seek(first)
        StoredChunk.objects.filter(name=name, position__gte=first).delete()
        with pytest.raises(FileNotFoundError, match=r"lost 'file\.bin' while it was read"):
            file.read()


@pytest.mark.django_db(transaction=True)
def test_a_file_can_be_read_after_its_connection_was_closed(storage):
    name = storage.save("file.bin", ContentFile(b"data"))

    with storage.open(name) as file:
        connection.close()
        assert file.read() == b"data"


# The rows of a file


def test_a_file_that_fills_its_rows_has_no_empty_row(storage):
    name = storage.save("file.bin", ContentFile(pictures.noise(2 * CHUNK_SIZE)))

    assert StoredChunk.objects.filter(name=name).count() == 2
