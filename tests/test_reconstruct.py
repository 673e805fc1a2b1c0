"""Taking an uploaded file apart and putting it together again."""

import io
import json

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile, File
from django.core.files.uploadedfile import (
    InMemoryUploadedFile,
    SimpleUploadedFile,
    TemporaryUploadedFile,
    UploadedFile,
)
from django.test import RequestFactory

from django_async_forms.codec import deconstruct, reconstruct

DATA = b"some bytes"
EXTRA = {"charset": b"utf-8", "foo": b"\xff\x00bar", "deep": [1, None, {"a": "b"}]}


def temporary(name="a.jpg"):
    uploaded = TemporaryUploadedFile(name, "image/jpeg", len(DATA), "utf-8", EXTRA)
    uploaded.write(DATA)
    uploaded.seek(0)
    return uploaded


class OwnUploadedFile(InMemoryUploadedFile):
    """An uploaded file of a project's upload handler."""


MAKERS = {
    InMemoryUploadedFile: lambda: InMemoryUploadedFile(
        io.BytesIO(DATA), "photo", "a.jpg", "image/jpeg", len(DATA), "utf-8", EXTRA
    ),
    TemporaryUploadedFile: temporary,
    SimpleUploadedFile: lambda: SimpleUploadedFile("a.jpg", DATA, "image/jpeg"),
    UploadedFile: lambda: UploadedFile(
        io.BytesIO(DATA), "a.jpg", "image/jpeg", len(DATA), "utf-8", EXTRA
    ),
    ContentFile: lambda: ContentFile(DATA, "a.jpg"),
    File: lambda: File(io.BytesIO(DATA), "a.jpg"),
}


def through_json(uploaded):
    data, content = deconstruct(uploaded)
    copy = io.BytesIO(b"".join(content.chunks()))
    if content is not uploaded:
        content.close()
    return reconstruct(json.loads(json.dumps(data)), File(copy))


@pytest.mark.parametrize("cls", MAKERS)
def test_a_file_comes_back_as_it_was(cls):
    uploaded = MAKERS[cls]()

    rebuilt = through_json(uploaded)

    with uploaded, rebuilt:
        assert type(rebuilt) is cls
        assert rebuilt.name == uploaded.name
        assert rebuilt.size == uploaded.size
        for attribute in ("content_type", "charset", "content_type_extra", "field_name"):
            assert getattr(rebuilt, attribute, None) == getattr(uploaded, attribute, None)
        assert b"".join(rebuilt.chunks()) == DATA
        rebuilt.seek(0)
        assert rebuilt.read() == DATA


def test_a_projects_own_file_class_comes_back_as_the_class_that_it_extends():
    uploaded = OwnUploadedFile(io.BytesIO(DATA), "photo", "a.jpg", "image/jpeg", 10, None, None)

    with through_json(uploaded) as rebuilt:
        assert type(rebuilt) is InMemoryUploadedFile


def test_a_temporary_file_comes_back_with_a_path():
    with temporary() as uploaded, through_json(uploaded) as rebuilt:
        assert rebuilt.temporary_file_path() != uploaded.temporary_file_path()
        with open(rebuilt.temporary_file_path(), "rb") as file:
            assert file.read() == DATA


def test_a_temporary_file_comes_back_with_what_was_just_written_to_it():
    uploaded = temporary()
    uploaded.seek(0, io.SEEK_END)
    uploaded.write(b", more bytes")  # In the buffer of the open file, not in the file yet.

    rebuilt = through_json(uploaded)

    assert rebuilt.read() == DATA + b", more bytes"
    rebuilt.close()
    uploaded.close()


def test_the_parameters_of_a_posted_content_type_come_back():
    body = (
        b"--x\r\nContent-Disposition: form-data; name=photo; filename=a.jpg\r\n"
        b"Content-Type: image/jpeg; charset=latin-1; foo=bar\r\n\r\nsome bytes\r\n--x--\r\n"
    )
    request = RequestFactory().post("/", body, content_type="multipart/form-data; boundary=x")
    uploaded = request.FILES["photo"]

    with through_json(uploaded) as rebuilt:
        assert rebuilt.content_type_extra == uploaded.content_type_extra
        assert set(rebuilt.content_type_extra) == {"charset", "foo"}
        assert rebuilt.charset == uploaded.charset


def test_an_object_that_is_not_a_file_cannot_be_taken_apart():
    for nonsense in (None, "a.jpg", b"bytes", object()):
        with pytest.raises(TypeError, match="uploaded file"):
            deconstruct(nonsense)


def test_a_value_that_json_cannot_carry_is_named():
    uploaded = InMemoryUploadedFile(
        io.BytesIO(DATA), None, "a.jpg", "image/jpeg", 10, None, {"foo": object()}
    )

    with pytest.raises(TypeError, match="content_type_extra"):
        deconstruct(uploaded)


GOOD = deconstruct(SimpleUploadedFile("a.jpg", DATA))[0]


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "text",
        7,
        {},
        {**GOOD, "class": "os.system"},
        {**GOOD, "class": None},
        {**GOOD, "class": []},
        {key: value for key, value in GOOD.items() if key != "name"},
        {**GOOD, "content_type_extra": {"unknown": 1}},
        {**GOOD, "content_type_extra": {"dict": [[1]]}},
        {**GOOD, "content_type_extra": {"dict": 5}},
        {**GOOD, "charset": {"bytes": 7}},
        {**GOOD, "charset": {"text": "€"}},
        {**GOOD, "name": 7},
        {**GOOD, "size": "7"},
    ],
    ids=repr,
)
def test_data_that_does_not_describe_a_file_is_refused(data):
    with pytest.raises(ValueError, match="does not describe an uploaded file"):
        reconstruct(data, File(io.BytesIO(DATA)))


def test_a_name_that_is_not_a_file_name_is_refused():
    with pytest.raises(SuspiciousFileOperation):
        reconstruct({**GOOD, "name": ".."}, File(io.BytesIO(DATA)))


@pytest.mark.parametrize("cls", [TemporaryUploadedFile, UploadedFile])
def test_a_copy_that_fails_half_way_is_removed_immediately(cls, tmp_path, settings):
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path

    class Broken(File):
        def chunks(self, chunk_size=None):
            yield b"half"
            raise OSError("the staging storage is away")

    with MAKERS[cls]() as uploaded:
        data, content = deconstruct(uploaded)
        content.close()
    before = list(tmp_path.iterdir())

    with pytest.raises(OSError, match="is away") as caught:
        reconstruct(data, Broken(io.BytesIO(), "staged"))

    # The traceback keeps the file from the garbage collector.
    assert caught.traceback
    assert list(tmp_path.iterdir()) == before
