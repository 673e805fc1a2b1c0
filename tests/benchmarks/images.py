"""Makes photographs of a given size in bytes, and the uploaded files that Django makes of them."""

import io
import random
import time
from functools import cache

from django.conf import settings
from django.core.files.uploadedfile import InMemoryUploadedFile, TemporaryUploadedFile
from PIL import Image

from django_async_forms.uploadhandler import FlushingFileUploadHandler

MB = 1_000_000
#: Bytes in a second.
GIGABIT = 125 * MB
_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "TIFF": "image/tiff"}


@cache
def image(size, kind="JPEG"):
    """Return an image of about ``size`` bytes; above 50 MB a TIFF, which is not compressed."""
    if size > 50 * MB:
        kind = "TIFF"
    # A small image shows how many bytes a pixel of noise takes.
    side = 256
    if size > side * side:
        weight = 3 if kind == "TIFF" else len(_noise(side, kind)) / side**2
        side = int((size / weight) ** 0.5)
    else:
        side = int((size / 3) ** 0.5)
    return _noise(side, kind)


def _noise(side, kind):
    pixels = random.Random(side).randbytes(side * side * 3)
    file = io.BytesIO()
    options = {"quality": 92} if kind == "JPEG" else {}
    Image.frombytes("RGB", (side, side), pixels).save(file, kind, **options)
    return file.getvalue()


def posted(data):
    """Return the upload that Django's handlers make: in memory up to 2.5 MB, else on the disk."""
    kind = Image.open(io.BytesIO(data)).format
    name, content_type = f"photo.{kind.lower()}", _TYPES[kind]
    if len(data) <= settings.FILE_UPLOAD_MAX_MEMORY_SIZE:
        file = io.BytesIO(data)
        return InMemoryUploadedFile(file, "image", name, content_type, len(data), None, {})
    return on_disk(data, name, content_type)


def on_disk(data, name="photo.jpeg", content_type="image/jpeg"):
    """Return an upload in a temporary file, as Django has it after reading a request."""
    uploaded = TemporaryUploadedFile(name, content_type, len(data), None, {})
    for start in range(0, len(data), 64 * 1024):  # As Django's upload handler writes it.
        uploaded.write(data[start : start + 64 * 1024])
    uploaded.flush()
    uploaded.seek(0)
    return uploaded


def arriving(data, name="photo.jpeg", content_type="image/jpeg"):
    """Return the file that ``FlushingFileUploadHandler`` makes of an upload at 1 Gbit/s."""
    handler = FlushingFileUploadHandler()
    handler.new_file("image", name, content_type, len(data), None, {})
    begun = time.perf_counter()
    for start in range(0, len(data), handler.chunk_size):
        while time.perf_counter() - begun < start / GIGABIT:
            time.sleep(0.0002)
        handler.receive_data_chunk(data[start : start + handler.chunk_size], start)
    return handler.file_complete(len(data))


def label(size):
    """Return a size as text for the tables."""
    return f"{size // 1000} KB" if size < MB else f"{size // MB} MB"
