"""The staged image of an upload, which an operator looks at: safely, and from any storage."""

import io
import tracemalloc

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.files.base import File
from django.core.files.storage import InMemoryStorage
from django.test import AsyncClient
from django.urls import reverse
from PIL import Image

from django_async_forms.models import StoredChunk, Upload
from django_async_forms.uploads import save_image
from tests import pictures
from tests.project.models import Document, Photo

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("queue")]

HTML = b"<!doctype html><script>alert(1)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


class Remote(InMemoryStorage):
    """A storage such as S3's: its files have no path, and each opened one is noted."""

    opened = []

    def _open(self, name, mode="rb"):
        file = File(io.BytesIO(super()._open(name, mode).read()), name)
        self.opened.append(file)
        return file


@pytest.fixture
def remote(settings):
    Remote.opened.clear()
    settings.STORAGES = {**settings.STORAGES, "async_forms": {"BACKEND": f"{__name__}.Remote"}}


@pytest.fixture(params=["database", "files", "remote"])
def each_staging(request):
    """Run the test with each staging storage."""
    if request.param != "database":
        request.getfixturevalue("location" if request.param == "files" else "remote")


def staged(in_memory, data=None, name="dune.jpg"):
    return save_image(in_memory(name, data), Document.objects.create(title="Deed"), "file")


def address(upload, name="staged"):
    return reverse(f"admin:django_async_forms_upload_{name}", args=[upload.pk])


def image(format_name):
    out = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(out, format_name)
    return out.getvalue()


def test_the_staged_image_is_shown_and_served_without_trust(admin_client, in_memory, each_staging):
    data = pictures.jpeg()
    response = admin_client.get(address(staged(in_memory, data)))

    assert response.status_code == 200
    assert b"".join(response.streaming_content) == data
    assert response["Content-Type"] == "image/jpeg"
    assert response["Content-Length"] == str(len(data))
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cache-Control"] == "private, no-store"
    assert response["Content-Disposition"] == 'inline; filename="dune.jpg"'
    assert "Vary" in response


@pytest.mark.parametrize(
    ("format_name", "content_type"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("GIF", "image/gif"),
        ("WEBP", "image/webp"),
        ("BMP", "image/bmp"),
        ("AVIF", "image/avif"),
        ("TIFF", "application/octet-stream"),
        ("ICO", "application/octet-stream"),
        ("PDF", "application/octet-stream"),
    ],
)
def test_pillow_decides_whether_a_staged_file_is_shown(
    admin_client, in_memory, format_name, content_type
):
    Image.init()
    if format_name not in Image.SAVE:
        pytest.skip(f"this Pillow writes no {format_name}")
    # in_memory() says that it is image/jpeg.
    response = admin_client.get(address(staged(in_memory, image(format_name))))

    assert response["Content-Type"] == content_type
    kind = response["Content-Disposition"].partition(";")[0]
    assert kind == ("attachment" if content_type == "application/octet-stream" else "inline")


@pytest.mark.parametrize("data", [HTML, SVG, b"GIF89a" + HTML[:2], b"", b"\0" * 100], ids=repr)
def test_a_staged_file_that_is_not_an_image_can_only_be_downloaded(
    admin_client, in_memory, each_staging, data
):
    response = admin_client.get(address(staged(in_memory, data, "dune.jpg")))

    assert response["Content-Type"] == "application/octet-stream"
    assert response["Content-Disposition"].startswith("attachment")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert b"".join(response.streaming_content) == data


def test_the_page_of_a_file_that_is_not_an_image_has_a_link_instead(admin_client, in_memory):
    upload = staged(in_memory, SVG, "drawing.svg")

    page = admin_client.get(address(upload, "change")).content.decode()

    assert "<img" not in page.partition("outbox-actions")[2]
    assert f'<a href="{address(upload)}">Download the staged file</a>' in page


def test_the_page_has_the_image_in_a_stage(admin_client, in_memory, each_staging):
    upload = staged(in_memory)

    page = admin_client.get(address(upload, "change")).content.decode()

    assert f'<img src="{address(upload)}" alt="Staged image" loading="lazy">' in page


def test_the_page_does_not_wait_for_a_remote_storage(admin_client, in_memory, remote):
    upload = staged(in_memory)
    Remote.opened.clear()

    admin_client.get(address(upload, "change"))

    assert Remote.opened == []


@pytest.mark.parametrize(
    "name",
    [
        'a"b\r\nSet-Cookie: x=1.jpg',
        "evil.html",
        "../../etc/passwd",
        "..\\..\\evil.jpg",
        "\x01\x7f.jpg",
        "\u202egpj.exe",
        "x" * 4000 + ".jpg",
        "." * 50,
        "Zürich 東京.jpg",
        ";filename=evil.exe",
    ],
    ids=ascii,
)
def test_no_name_of_a_file_breaks_the_header(admin_client, in_memory, name):
    upload = staged(in_memory)
    Upload.objects.filter(pk=upload.pk).update(name=name)

    response = admin_client.get(address(upload))

    assert response.status_code == 200
    header = response["Content-Disposition"]
    assert header.startswith("inline; filename")
    assert header.rstrip('"').endswith(".jpg")
    assert len(header) < 700
    assert not set(header) & {"\r", "\n", "/", "\\"} or "filename*=utf-8''" in header


@pytest.mark.parametrize("end", [Upload.remove_staged, lambda upload: Upload.objects.discard()])
def test_the_address_of_a_missing_staged_file_says_so_in_words(
    end, admin_client, in_memory, each_staging, django_capture_on_commit_callbacks
):
    upload = staged(in_memory)
    with django_capture_on_commit_callbacks(execute=True):
        end(upload)

    response = admin_client.get(address(upload))

    assert response.status_code == 404
    assert "The staged file is missing" in response.content.decode()


def test_the_page_says_that_the_staged_file_is_missing(admin_client, in_memory, location):
    upload = staged(in_memory)
    (location / upload.staged).unlink()

    page = admin_client.get(address(upload, "change")).content.decode()

    assert "The staged file is missing" in page


class Down(InMemoryStorage):
    """A storage that does not answer."""

    def _open(self, name, mode="rb"):
        raise OSError("no route to host")


def test_the_address_of_a_staged_file_says_in_words_that_its_storage_does_not_answer(
    admin_client, in_memory, settings
):
    upload = staged(in_memory)
    settings.STORAGES = {**settings.STORAGES, "async_forms": {"BACKEND": f"{__name__}.Down"}}

    response = admin_client.get(address(upload))

    assert response.status_code == 503
    assert "The staging storage does not answer" in response.content.decode()
    assert admin_client.get(address(upload, "change")).status_code == 200


def test_the_staged_file_is_closed(admin_client, in_memory, remote):
    upload = staged(in_memory)
    Remote.opened.clear()

    response = admin_client.get(address(upload))
    assert [file.closed for file in Remote.opened] == [False]
    response.close()

    assert [file.closed for file in Remote.opened] == [True]


def test_a_large_staged_file_needs_no_memory(admin_client, in_memory):
    upload = staged(in_memory, pictures.jpeg() + bytes(20_000_000))
    tracemalloc.start()

    size = sum(len(piece) for piece in admin_client.get(address(upload)).streaming_content)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 20_000_000
    assert peak < 5_000_000


@pytest.mark.django_db(transaction=True)
def test_the_staged_image_is_streamed_under_asgi_too(in_memory, location):
    data = pictures.jpeg() + bytes(1_000_000)
    upload = staged(in_memory, data)
    client = AsyncClient()
    client.force_login(User.objects.create_superuser("operator"))

    async def pieces():
        response = await client.get(address(upload))
        assert response.is_async
        found = [piece async for piece in response.streaming_content]
        return response["Content-Type"], found

    content_type, found = async_to_sync(pieces)()

    assert content_type == "image/jpeg"
    assert b"".join(found) == data
    assert max(len(piece) for piece in found) <= 65536


def test_a_head_request_sends_no_bytes_and_a_post_is_refused(admin_client, in_memory):
    page = address(staged(in_memory))

    response = admin_client.head(page)

    assert response.status_code == 200
    assert response["Content-Type"] == "image/jpeg"
    assert admin_client.post(page).status_code == 405


def test_looking_at_the_staged_file_changes_nothing(admin_client, in_memory):
    upload = staged(in_memory)
    before = list(StoredChunk.objects.values())

    b"".join(admin_client.get(address(upload)).streaming_content)

    assert list(StoredChunk.objects.values()) == before
    assert Upload.objects.get() == upload
    assert not Photo.objects.exists()
