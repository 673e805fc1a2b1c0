"""Made-up input: files to take apart, messages, and files in rows."""

import io
import json
import string
from contextlib import closing, suppress

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile, File
from django.core.files.uploadedfile import (
    InMemoryUploadedFile,
    SimpleUploadedFile,
    TemporaryUploadedFile,
    UploadedFile,
)
from django.db import transaction
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)

from django_async_forms.chunks import CHUNK_SIZE
from django_async_forms.codec import FILE_CLASSES, deconstruct, reconstruct
from django_async_forms.models import StoredChunk, Upload
from django_async_forms.storage import DatabaseStorage
from django_async_forms.tasks import save_image_task
from django_async_forms.uploads import save_image
from tests import pictures
from tests.security.texts import texts

TEXT = texts()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(["bytes", "text", "dict"]) | st.text(max_size=5), children
        )
    ),
    max_leaves=8,
)


# Taking apart and putting together

DESCRIPTION = deconstruct(SimpleUploadedFile("a.jpg", b"data", "image/jpeg"))[0]


@settings(max_examples=150)
@given(
    data=JSON
    | st.fixed_dictionaries({key: JSON | st.just(value) for key, value in DESCRIPTION.items()})
    | st.fixed_dictionaries(
        {**dict.fromkeys(DESCRIPTION, JSON), "class": st.sampled_from(list(FILE_CLASSES))},
        optional={"more": JSON},
    )
    | st.fixed_dictionaries(
        {
            **{key: st.just(value) for key, value in DESCRIPTION.items()},
            "class": st.sampled_from(list(FILE_CLASSES)),
            "name": st.none() | TEXT,
        }
    )
)
@example(data={**DESCRIPTION, "class": "TemporaryUploadedFile", "name": None})
def test_any_description_of_a_file_makes_one_or_is_refused(data):
    content = b"the content"

    try:
        rebuilt = reconstruct(data, File(io.BytesIO(content)))
    except (ValueError, SuspiciousFileOperation):
        return
    with closing(rebuilt):
        assert type(rebuilt) is FILE_CLASSES[data["class"]]
        assert b"".join(rebuilt.chunks()) == content


def uploaded_files():
    content_type = st.none() | TEXT
    extra = st.none() | st.dictionaries(TEXT, st.binary(max_size=20), max_size=3)
    name = st.text(string.ascii_letters + " é写.-_;&<'", min_size=1, max_size=60).filter(
        lambda name: name not in (".", "..")
    )
    common = {"name": name, "content_type": content_type, "charset": content_type, "extra": extra}

    def make(cls, data, name, content_type, charset, extra, field_name):
        if cls is TemporaryUploadedFile:
            uploaded = TemporaryUploadedFile(name, content_type, len(data), charset, extra)
            uploaded.write(data)
            uploaded.seek(0)
            return uploaded
        file = io.BytesIO(data)
        if cls is InMemoryUploadedFile:
            return cls(file, field_name, name, content_type, len(data), charset, extra)
        return cls(file, name, content_type, len(data), charset, extra)

    return st.builds(
        make,
        cls=st.sampled_from([InMemoryUploadedFile, TemporaryUploadedFile, UploadedFile]),
        data=st.binary(max_size=100),
        field_name=content_type,
        **common,
    )


@settings(max_examples=100)
@given(uploaded=uploaded_files())
def test_any_uploaded_file_comes_back_as_it_was(uploaded):
    with closing(uploaded):
        data, content = deconstruct(uploaded)
        copy = File(io.BytesIO(b"".join(content.chunks())))
        if content is not uploaded:  # The file at the path of a temporary file is opened again.
            content.close()
        with closing(reconstruct(json.loads(json.dumps(data)), copy)) as rebuilt:
            assert type(rebuilt) is type(uploaded)
            assert b"".join(rebuilt.chunks()) == b"".join(uploaded.chunks())
            for attribute in ("name", "size", "content_type", "charset", "content_type_extra"):
                assert getattr(rebuilt, attribute) == getattr(uploaded, attribute)
            assert getattr(rebuilt, "field_name", None) == getattr(uploaded, "field_name", None)


@pytest.mark.django_db
@settings(max_examples=40)
@given(
    content_type=TEXT,
    charset=st.none() | TEXT,
    extra=st.dictionaries(TEXT, st.binary(max_size=20), max_size=3),
)
def test_the_outbox_keeps_whatever_a_client_says_of_its_file(content_type, charset, extra, photo):
    uploaded = InMemoryUploadedFile(
        io.BytesIO(b"data"), "image", "a.jpg", content_type, 4, charset, extra
    )

    upload = Upload.objects.get(pk=save_image(uploaded, photo).pk)

    with reconstruct(upload.file, upload.open_staged()) as rebuilt:
        assert rebuilt.content_type == content_type
        assert rebuilt.charset == charset
        assert rebuilt.content_type_extra == extra


# Messages


@pytest.fixture
def pending(photo):
    return save_image(ContentFile(b"data", "a.jpg"), photo)


@pytest.mark.django_db(databases=["default", "other"])
@settings(max_examples=100)
@given(
    upload_id=JSON | st.uuids().map(str) | TEXT | st.text("0123456789abcdef-{}", max_size=40),
    using=JSON | st.sampled_from(["default", "other", "settings", "_connections"]) | TEXT,
)
def test_no_argument_makes_the_task_fail_or_touch_a_pending_upload(upload_id, using, pending):
    assert save_image_task.apply(args=[upload_id, using]).successful()

    pending.refresh_from_db()
    assert pending.attempts == 0


@pytest.mark.django_db(databases=["default", "other"])
@settings(max_examples=100)
@given(arguments=st.lists(JSON, max_size=4), keywords=st.dictionaries(st.text(max_size=9), JSON))
def test_no_shape_of_arguments_touches_a_pending_upload(arguments, keywords, pending):
    result = save_image_task.apply(args=arguments, kwargs=keywords)

    assert result.successful() or isinstance(result.result, TypeError)
    pending.refresh_from_db()
    assert pending.attempts == 0


# A file in rows, against a file in memory

SIZES = [0, 1, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 2 * CHUNK_SIZE + 3]
CONTENTS = st.builds(pictures.noise, st.sampled_from(SIZES), st.integers(0, 3))
#: The methods of an open file, each with a number as its argument.
STEPS = st.tuples(
    st.sampled_from(["read", "readline", "readinto", "chunks", "open again", "set", "cur", "end"]),
    st.sampled_from([100, -100, *SIZES, *(-size for size in SIZES)]),
)


def do(step, number, file, expected):
    """Call a method of a file in rows and of one in memory; the results must be equal."""
    if step == "read":
        size = max(number, -1)
        assert file.read(size) == expected.read(size)
    elif step == "readline":
        assert file.readline() == expected.readline()
    elif step == "readinto":
        read, wanted = bytearray(abs(number)), bytearray(abs(number))
        assert file.readinto(read) == expected.readinto(wanted)
        assert read == wanted
    elif step == "chunks":
        assert b"".join(file.chunks(abs(number) + 1000)) == expected.getvalue()
        expected.seek(0, io.SEEK_END)
    elif step == "open again":
        if number > 0:
            file.close()
        file.open()
        expected.seek(0)
    else:
        whence = ["set", "cur", "end"].index(step)
        start = [0, expected.tell(), len(expected.getvalue())][whence]
        offset = max(number, -start)  # Both refuse a position before the beginning.
        assert file.seek(offset, whence) == expected.seek(offset, whence)
    assert file.tell() == expected.tell()


@pytest.mark.django_db
@settings(max_examples=60)
@given(content=CONTENTS, steps=st.lists(STEPS, min_size=3, max_size=12))
def test_reading_from_rows_is_like_reading_from_memory(content, steps):
    storage, expected = DatabaseStorage(), io.BytesIO(content)
    name = storage.save("file", ContentFile(content))

    with storage.open(name) as file:
        for step, number in steps:
            do(step, number, file, expected)

    storage.delete(name)


#: Few names, so that they collide: in two cases, with special characters of LIKE, and too long.
PARTS = st.sampled_from(["a", "A", "a%", "写", "x" * 120])
NAMES = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


class Files(RuleBasedStateMachine):
    """``DatabaseStorage`` must behave like a dict from names to bytes."""

    names = Bundle("names")

    def __init__(self):
        super().__init__()
        self.storage = DatabaseStorage()
        self.contents = {}

    @rule(target=names, name=NAMES, content=CONTENTS)
    def save(self, name, content):
        saved = self.storage.save(name, ContentFile(content))
        if name in self.contents or len(name) > 255:
            assert saved not in self.contents
        else:
            assert saved == name
        self.contents[saved] = content
        return saved

    @rule(name=NAMES, content=CONTENTS)
    def save_and_roll_back(self, name, content):
        with suppress(ZeroDivisionError), transaction.atomic():
            self.storage.save(name, ContentFile(content))
            raise ZeroDivisionError

    @rule(name=consumes(names))
    def delete(self, name):
        self.storage.delete(name)
        del self.contents[name]

    @rule(name=names)
    def delete_and_roll_back(self, name):
        with suppress(ZeroDivisionError), transaction.atomic():
            self.storage.delete(name)
            raise ZeroDivisionError

    @rule(name=NAMES)
    def look_for(self, name):
        assert self.storage.exists(name) == (name in self.contents)

    @rule(folder=NAMES | st.sampled_from(["", "a", "A", "a%"]))
    def list_a_folder(self, folder):
        prefix = f"{folder}/" if folder else ""
        below = [
            name.removeprefix(prefix).split("/")
            for name in self.contents
            if name.startswith(prefix)
        ]
        folders = sorted({parts[0] for parts in below if len(parts) > 1})
        files = sorted(parts[0] for parts in below if len(parts) == 1)
        assert self.storage.listdir(folder) == (folders, files)

    @rule(name=names)
    def read(self, name):
        assert self.storage.size(name) == len(self.contents[name])
        with self.storage.open(name) as file:
            assert file.read() == self.contents[name]

    @invariant()
    def nothing_else_is_there(self):
        assert set(StoredChunk.objects.values_list("name", flat=True)) == set(self.contents)

    def teardown(self):
        StoredChunk.objects.all().delete()


@pytest.mark.django_db
def test_files_in_rows_are_like_files_in_memory():
    run_state_machine_as_test(Files, settings=settings(max_examples=30, stateful_step_count=25))


@pytest.mark.django_db
def test_names_that_differ_in_a_space_at_the_end_are_two_names():
    storage = DatabaseStorage()
    storage.save("dune", ContentFile(b"without"))

    assert not storage.exists("dune ")
    assert storage.save("dune ", ContentFile(b"with")) == "dune "
    with storage.open("dune") as file:
        assert file.read() == b"without"
