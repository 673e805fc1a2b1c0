"""Makes real images to upload. They are noise, so no two are equal and none is small."""

import io
import random

from PIL import Image


def jpeg(width=64, height=48, seed=None):
    """Return the bytes of a new JPEG, or of the same one for each ``seed``."""
    pixels = random.Random(seed).randbytes(width * height * 3)
    file = io.BytesIO()
    Image.frombytes("RGB", (width, height), pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def as_file(data):
    """Return a file object with these bytes."""
    return io.BytesIO(data)


def stored(file):
    """Return the bytes that a storage holds for a FieldFile."""
    with file.storage.open(file.name) as content:
        return content.read()


def bytes_of(instance, field_name="image"):
    """Return the bytes of the file that an instance has in the database."""
    return stored(getattr(type(instance).objects.get(pk=instance.pk), field_name))


def noise(size, seed=None):
    """Return ``size`` bytes of noise, which are not an image."""
    return random.Random(seed).randbytes(size)
