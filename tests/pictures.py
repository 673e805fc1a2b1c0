"""Real images to upload: noise, so that no two are alike and none is small."""

import io
import random

from PIL import Image


def jpeg(width=64, height=48, seed=None):
    """Return the bytes of a JPEG; each call another one, unless ``seed`` says which."""
    pixels = random.Random(seed).randbytes(width * height * 3)
    file = io.BytesIO()
    Image.frombytes("RGB", (width, height), pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def as_file(data):
    """Return a file object with the bytes."""
    return io.BytesIO(data)


def stored(file):
    """Return the bytes that a storage holds for a FieldFile."""
    with file.storage.open(file.name) as content:
        return content.read()


def noise(size, seed=None):
    """Return so many bytes of noise, which is no image."""
    return random.Random(seed).randbytes(size)
