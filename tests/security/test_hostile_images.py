"""Hostile images: they are stored or refused as by plain Django."""

import gc
import io
import re
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image, ImageFile

from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.project.models import Measured, Photo
from tests.security.pages import errors_on

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.urls("tests.security.pages"),
    # Pillow warns about smaller bombs, and Django accepts them.
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]

SCRIPT = b"<html><script>alert(document.domain)</script></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="alert(1)"/>'


def saved_as(kind, width=64, height=48, **options):
    file = io.BytesIO()
    pixels = pictures.noise(width * height * 3, seed=0)
    Image.frombytes("RGB", (width, height), pixels).save(file, kind, **options)
    return file.getvalue()


def jpeg():
    return pictures.jpeg(seed=0)


def with_html(kind):
    return saved_as(kind, comment=SCRIPT)


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(side, *chunks):
    """Return a black square of a few KB with one bit for a pixel, which may be huge in memory."""
    squeeze = zlib.compressobj()
    rows = [squeeze.compress(bytes(1 + (side + 7) // 8)) for _ in range(side)]
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            png_chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)),
            *chunks,
            png_chunk(b"IDAT", b"".join(rows) + squeeze.flush()),
            png_chunk(b"IEND", b""),
        ]
    )


def text_bomb():
    text = zlib.compress(bytes(64 * 1024 * 1024))
    return png_of(8, png_chunk(b"zTXt", b"Comment\0\0" + text))


def bitmap_of(side):
    """Return the header of a bitmap with almost no pixels."""
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header + b"pixels"


def with_archive():
    file = io.BytesIO(jpeg())
    file.seek(0, io.SEEK_END)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("evil.html", SCRIPT)
    return file.getvalue()


#: File name, content type, bytes, and whether the file is stored.
IMAGES = {
    "a JPEG cut off": ("a.jpg", "image/jpeg", lambda: jpeg()[:-500], True),
    "a JPEG cut off after its header": ("a.jpg", "image/jpeg", lambda: jpeg()[:700], True),
    "a PNG cut off": ("a.png", "image/png", lambda: saved_as("PNG")[:-500], False),
    "a GIF cut off": ("a.gif", "image/gif", lambda: saved_as("GIF")[:-500], True),
    "an image of one byte": ("a.jpg", "image/jpeg", lambda: b"\xff", False),
    "a thousand JPEGs in one": ("a.jpg", "image/jpeg", lambda: jpeg() * 1000, True),
    "a thousand PNGs in one": ("a.png", "image/png", lambda: saved_as("PNG", 8, 8) * 1000, True),
    "a thousand GIFs in one": ("a.gif", "image/gif", lambda: saved_as("GIF", 8, 8) * 1000, True),
    "a GIF with HTML in it": ("a.gif", "image/gif", lambda: with_html("GIF"), True),
    "a JPEG with HTML in it": ("a.jpg", "image/jpeg", lambda: with_html("JPEG"), True),
    "a JPEG with HTML after it": ("a.jpg", "image/jpeg", lambda: jpeg() + SCRIPT, True),
    "a JPEG that is an archive too": ("a.jpg", "image/jpeg", with_archive, True),
    "a JPEG that is named a page": ("a.html", "image/jpeg", lambda: jpeg() + SCRIPT, False),
    "a JPEG that is named a program": ("a.php", "image/jpeg", lambda: jpeg() + b"<?php", False),
    "HTML that is named an image": ("a.jpg", "image/jpeg", lambda: SCRIPT, False),
    "SVG": ("a.svg", "image/svg+xml", lambda: SVG, False),
    "SVG that is named an image": ("a.png", "image/png", lambda: SVG, False),
    "a JPEG that is named SVG": ("a.svg", "image/svg+xml", jpeg, False),
    "PostScript": ("a.pdf", "image/jpeg", lambda: b"%PDF-1.4\n%%EOF\n", False),
    "a JPEG that says it is a page": ("a.jpg", "text/html", jpeg, True),
    "a JPEG that says it is a program": ("a.jpg", "application/x-php", jpeg, True),
    "a JPEG that says it is nothing": ("a.jpg", "", jpeg, True),
    "a PNG that says it is a JPEG": ("a.jpg", "image/jpeg", lambda: saved_as("PNG"), True),
    "a JPEG with two types": ("a.jpg", "image/jpeg, text/html", jpeg, True),
    "a bomb of 10,000 by 10,000": ("a.png", "image/png", lambda: png_of(10_000), True),
    "a bomb of 15,000 by 15,000": ("a.png", "image/png", lambda: png_of(15_000), False),
    "a bomb that is all promise": ("a.bmp", "image/bmp", lambda: bitmap_of(100_000), False),
    "a bomb in a comment": ("a.png", "image/png", text_bomb, False),
}


@pytest.fixture(autouse=True)
def pillow_as_it_comes(monkeypatch):
    """Restores Pillow's options, which some libraries relax for the whole process."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)


@pytest.mark.parametrize(("name", "content_type", "make", "fits"), IMAGES.values(), ids=IMAGES)
# Pillow opens a temporary file by its path, and leaves it open if the image is bad.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_an_image_is_stored_or_refused_as_by_plain_django(
    name, content_type, make, fits, both_ways, client, settings, staging
):
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 2_500_000 if staging == "database" else 0
    data = make()

    def post(way):
        image = SimpleUploadedFile(name, data, content_type)
        response = client.post(f"/{way.name}/photo/add/", {"title": "Dune", "image": image})
        return response.status_code, errors_on(response)

    plain, ours = both_ways(post)
    if staging == "files" and not fits:
        gc.collect()

    assert ours == plain
    _, files, _ = ours
    assert files == ({f"photos/{name}": data} if fits else {})


@pytest.mark.parametrize(
    "kind", ["a bomb of 10,000 by 10,000", "a GIF cut off", "a thousand JPEGs in one"]
)
def test_the_dimensions_of_an_image_are_those_of_plain_django(kind, both_ways, client, staging):
    name, content_type, make, _ = IMAGES[kind]
    data = make()

    def post(way):
        images = {key: SimpleUploadedFile(name, data, content_type) for key in ("image", "cover")}
        response = client.post(f"/{way.name}/measured/add/", {"title": "Dune", **images})
        return response.status_code

    plain, ours = both_ways(post)

    assert ours == plain
    assert ours[2][0]["cover_width"] > 0


@pytest.fixture
def most_memory():
    """Returns the peak memory of this process since the start of the test, in bytes."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError as error:
        pytest.skip(f"this system does not tell: {error}")

    def tell(key="VmHWM"):
        text = Path("/proc/self/status").read_text()
        return int(re.search(rf"{key}:\s+(\d+)", text)[1]) * 1024

    before = tell("VmRSS")
    return lambda: tell() - before


@pytest.mark.parametrize("model", [Photo, Measured], ids=["not measured", "measured"])
def test_a_bomb_does_not_go_off_in_the_worker(model, client, staging, most_memory):
    data = png_of(10_000)
    images = {"image": SimpleUploadedFile("a.png", data, "image/png")}
    if model is Measured:
        images["cover"] = SimpleUploadedFile("b.png", data, "image/png")

    client.post(f"/async/{model._meta.model_name}/add/", {"title": "Dune", **images})
    assert save_pending_uploads() == len(images)

    assert pictures.stored(model.objects.get().image) == data
    assert most_memory() < 50_000_000  # Pillow would take a byte for a pixel: 100 MB.


told = []


class Typed(FileSystemStorage):
    """A final storage that gets the content type of a file, as for a web server."""

    def _save(self, name, content):
        told.append(content.content_type)
        return super()._save(name, content)


@pytest.mark.parametrize(
    ("name", "content_type", "make", "is_in_truth"),
    [
        ("a.jpg", "text/html", lambda: jpeg() + SCRIPT, "image/jpeg"),
        ("a.jpg", "image/svg+xml", lambda: saved_as("PNG"), "image/png"),
        ("a.gif", "application/javascript", lambda: with_html("GIF"), "image/gif"),
    ],
    ids=["HTML", "SVG", "a script"],
)
def test_the_storage_gets_the_detected_content_type(
    name, content_type, make, is_in_truth, client, use_final_storage, staging
):
    use_final_storage(Typed)
    told.clear()

    for way in ("plain", "async"):
        image = SimpleUploadedFile(name, make(), content_type)
        client.post(f"/{way}/photo/add/", {"title": "Dune", "image": image})
        save_pending_uploads()

    assert told == [is_in_truth, is_in_truth]
