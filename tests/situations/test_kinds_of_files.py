"""Files of any kind that a view assigns to an instance are stored as by plain Django."""

import io
import os
import tempfile
from pathlib import Path

import pytest
from django import forms
from django.core.exceptions import FieldError, SuspiciousFileOperation
from django.core.files.base import ContentFile, File
from django.core.files.uploadedfile import (
    InMemoryUploadedFile,
    SimpleUploadedFile,
    UploadedFile,
)

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.project.models import Document

pytestmark = pytest.mark.django_db


class DocumentForm(AsyncImageModelForm):
    async_fields = ["file", "scan"]


@pytest.fixture(params=["plain", "database", "files"])
def store(request):
    """Assigns a file to the instance of a form, saves it, and returns the file of the row."""
    if request.param == "files":
        request.getfixturevalue("location")
    base = forms.ModelForm if request.param == "plain" else DocumentForm

    class Form(base):
        class Meta:
            model = Document
            fields = ["title", "scan", "file"]

    Form.base_fields["file"].required = False

    def store(file):
        opened.append(file)
        form = Form({"title": "x"}, {})
        assert form.is_valid(), form.errors
        document = form.save(commit=False)
        document.file = file
        document.save()
        save_pending_uploads()
        return Document.objects.get().file

    opened = []
    yield store
    for file in opened:
        file.close()


class OwnUpload(UploadedFile):
    """The file of a project's upload handler, which holds more than JSON can carry."""

    def __init__(self, *args):
        super().__init__(*args)
        self.handler = object()


class InPieces(File):
    """A file that only has chunks."""

    def __init__(self):
        super().__init__(None, "noise.bin")
        self.size = 6

    def chunks(self, chunk_size=None):
        yield b"abc"
        yield b"def"

    def close(self):
        pass


class Stream(io.RawIOBase):
    """A network stream, which has no size and can be read once."""

    def __init__(self):
        self._file = io.BytesIO(b"abcdef")

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._file.readinto(buffer)


def spooled():
    file = tempfile.SpooledTemporaryFile()
    file.write(b"abcdef")
    file.seek(0)
    return File(file, "noise.bin")


def half_read():
    file = ContentFile(b"abcdef", "noise.bin")
    file.read(3)
    return file


def piped():
    reading, writing = os.pipe()
    os.write(writing, b"abcdef")
    os.close(writing)
    return File(os.fdopen(reading, "rb"), "noise.bin")


KINDS = {
    "content": lambda: ContentFile(b"abcdef", "noise.bin"),
    "text": lambda: ContentFile("abcdef", "noise.bin"),
    "open text": lambda: File(io.StringIO("abcdef"), "noise.bin"),
    "open bytes": lambda: File(io.BytesIO(b"abcdef"), "noise.bin"),
    "simple": lambda: SimpleUploadedFile("noise.bin", b"abcdef"),
    "without a size": lambda: UploadedFile(io.BytesIO(b"abcdef"), "noise.bin"),
    "with a wrong size": lambda: InMemoryUploadedFile(
        io.BytesIO(b"abcdef"), None, "noise.bin", None, 99, None
    ),
    "of a project's handler": lambda: OwnUpload(io.BytesIO(b"abcdef"), "noise.bin", None, 6),
    "with parameters": lambda: InMemoryUploadedFile(
        io.BytesIO(b"abcdef"), "x", "noise.bin", "t", 6, "utf-8", {"a": b"b", "c": [1, (None,)]}
    ),
    "with a path for its name": lambda: ContentFile(b"abcdef", Path("noise.bin")),
    "with a size in text": lambda: UploadedFile(io.BytesIO(b"abcdef"), "noise.bin", None, "6"),
    "of a stream": lambda: File(Stream(), "noise.bin"),
    "in pieces": InPieces,
    "spooled": spooled,
    "half read": half_read,
    "piped": piped,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_this_kind_is_stored_whole(kind, store):
    file = store(KINDS[kind]())

    assert (file.name, pictures.stored(file)) == ("documents/noise.bin", b"abcdef")


def test_a_file_that_is_empty_is_stored(store):
    assert pictures.stored(store(ContentFile(b"", "empty.bin"))) == b""


def test_text_beyond_ascii_is_stored_in_utf_8(store):
    assert pictures.stored(store(ContentFile("naïve 日本", "noise.bin"))).decode() == "naïve 日本"


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("a/b/c.bin", "documents/a/b/c.bin"),
        ("  .bin", "documents/.bin"),
        ("a\0b.bin", "documents/ab.bin"),
        ("a\udcffb.bin", "documents/ab.bin"),
        ("a\\b.bin", "documents/a/b.bin"),
    ],
)
def test_an_odd_name_becomes_a_file_of_this_name(name, stored, store):
    assert store(ContentFile(b"abc", name)).name == stored


def test_a_name_that_is_too_long_is_cut(store):
    name = store(ContentFile(b"abc", "n" * 300 + ".bin")).name

    assert len(name) == 100
    assert name.endswith(".bin")


@pytest.mark.parametrize("name", ["../../noise.bin", "/etc/noise.bin"])
def test_a_name_that_leaves_the_folder_is_refused_in_the_request(name, store):
    with pytest.raises(SuspiciousFileOperation):
        store(ContentFile(b"abc", name))


def test_a_file_without_a_name_is_refused_in_the_request(store):
    with pytest.raises((FieldError, ValueError), match="name"):
        store(ContentFile(b"abc"))
