"""Reads format, size and frames of an image from its headers, without decoding a pixel."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.files.base import File
from PIL import Image

from .draft_file import DraftFile

logger = logging.getLogger("django_async_forms")

#: What Pillow calls the formats that browsers show, with their content type and extension. An SVG
#: is not among them: it may hold scripts.
SHOWN = {
    "AVIF": ("image/avif", "avif"),
    "BMP": ("image/bmp", "bmp"),
    "GIF": ("image/gif", "gif"),
    "JPEG": ("image/jpeg", "jpg"),
    "MPO": ("image/jpeg", "jpg"),  # A JPEG with more images after the first.
    "PNG": ("image/png", "png"),
    "WEBP": ("image/webp", "webp"),
}
#: Formats whose frames are all as large as the canvas, and whose header has the number of frames.
_COUNTED = {"AVIF", "FLI", "PNG", "WEBP"}
#: The limits of the work on one file. An ordinary file stays far below them.
_MAX_FRAMES = 100_000
_MAX_READS = 1_000_000
#: The TIFF tags of width and height, and the types that an integer of a page may have.
_SIDES, _INTEGERS = (256, 257), {1: "B", 3: "H", 4: "L", 16: "Q"}
#: The EXIF tag of the orientation, and its values that swap width and height.
_ORIENTATION, _TURNED = 0x0112, {5, 6, 7, 8}


class _TooMuchWorkError(Exception):
    """A file makes its reader read more than any ordinary file does."""


class _Reader:
    """An uploaded file that limits how much is read from it, and stays open."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._reads = _MAX_READS
        # A reader that reads a file more than twice goes in a circle. The size may be unknown.
        self._bytes = 2 * (file.size or 2**40) + 2**20

    def read(self, size: int = -1) -> bytes:
        return self._counted(self._file.read(size))

    def readline(self, size: int = -1) -> bytes:
        return self._counted(self._file.readline(size))

    def _counted(self, data: bytes) -> bytes:
        self._reads -= 1
        self._bytes -= len(data)
        if self._reads < 0 or self._bytes < 0:
            raise _TooMuchWorkError
        return data

    def seek(self, *args: int) -> int:
        return self._file.seek(*args)  # type: ignore[no-any-return]

    def tell(self) -> int:
        return self._file.tell()  # type: ignore[no-any-return]

    def close(self) -> None:
        """Leave the file open: the caller still uses it."""


@contextmanager
def _from_the_beginning(uploaded: File[Any]) -> Iterator[_Reader]:
    position = uploaded.tell()
    try:
        uploaded.seek(0)
        yield _Reader(uploaded)
    finally:
        uploaded.seek(position)


def open_image(uploaded: File[Any]) -> Image.Image | None:
    """
    Return the image that a form field has opened with Pillow, else open it here.

    Returns ``None`` for a file that Pillow does not read. Raises Pillow's
    ``DecompressionBombError``.
    """
    # A draft opens its image when it is asked for it, and another one may have replaced that.
    opened = None if isinstance(uploaded, DraftFile) else getattr(uploaded, "image", None)
    if isinstance(opened, Image.Image):
        return opened
    # A plain FileField opens no image, and another library's field leaves its own kind of image.
    try:
        with _from_the_beginning(uploaded) as reader:
            return Image.open(reader)  # type: ignore[arg-type]
    except Image.DecompressionBombError:
        raise
    except Exception as error:  # Pillow's plugins raise anything.
        logger.debug("Pillow does not read %s: %r", uploaded, error)
        return None


def find_format(uploaded: File[Any]) -> str:
    """Return what Pillow takes a file for, or ``""``. Raises what reading the file raises."""
    if isinstance(uploaded, DraftFile) and uploaded.is_checked:
        return uploaded.draft.format
    try:
        image = open_image(uploaded)
    except Image.DecompressionBombError:  # Which a browser should not open either.
        return ""
    return image.format or "" if image is not None else ""


def has_more_pixels(uploaded: File[Any], image: Image.Image, limit: int) -> bool:
    """
    Tell whether the frames or pages of an image together have more than ``limit`` pixels.

    Counting stops at the frame that exceeds the limit. A file that takes more work to count than
    any ordinary file exceeds every limit.
    """
    if image.format in _COUNTED:
        return _area(image.size) * getattr(image, "n_frames", 1) > limit
    # Not hasattr() on the image: some plugins read the file to compute n_frames.
    has_frames = hasattr(type(image), "n_frames") or "n_frames" in vars(image)
    if image.format not in _AREA_READERS and not has_frames:
        return _area(image.size) > limit
    areas = _AREA_READERS.get(image.format or "", _areas_by_pillow)
    pixels = 0
    try:
        with _from_the_beginning(uploaded) as reader:
            for frame, area in enumerate(areas(reader), start=1):
                pixels += area
                if pixels > limit or frame > _MAX_FRAMES:
                    return True
    except (_TooMuchWorkError, Image.DecompressionBombError):
        return True
    except Exception as error:
        # Count the frames before a damaged one. Pillow decodes nothing after it either.
        logger.debug("Pillow does not read %s: %r", uploaded, error)
    return False


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _areas_by_pillow(reader: _Reader) -> Iterator[int]:
    """Yield the area of each frame of a format in which Pillow decodes nothing to find it (MPO)."""
    image = Image.open(reader)  # type: ignore[arg-type]
    for frame in range(min(image.n_frames, _MAX_FRAMES + 1)):  # type: ignore[attr-defined]
        try:
            image.seek(frame)
        except (_TooMuchWorkError, Image.DecompressionBombError):
            raise
        except Exception as error:
            # MPO has an index, so the frames after a damaged one can still be found.
            logger.debug("Pillow does not read %s: %r", f"frame {frame}", error)
        else:
            yield _area(image.size)


def _areas_of_tiff(reader: _Reader) -> Iterator[int]:
    """Yield the area of each page of a TIFF. Pillow reads all tags of a page to get to the next."""
    header = reader.read(8)
    order = "<" if header.startswith(b"II") else ">"
    if b"\x2b" in header[2:4]:  # BigTIFF.
        counter, entry, pointer = (struct.Struct(order + codes) for codes in ("Q", "HHQ8s", "Q"))
        header = reader.read(8)
    else:
        counter, entry, pointer = (struct.Struct(order + codes) for codes in ("H", "HHL4s", "L"))
    (offset,) = pointer.unpack(header[-pointer.size :])
    seen = set()
    while offset and offset not in seen:
        seen.add(offset)
        reader.seek(offset)
        (count,) = counter.unpack(reader.read(counter.size))
        entries = reader.read(min(count, 65_535) * entry.size)
        sides = dict.fromkeys(_SIDES, 0)
        for tag, kind, _count, value in entry.iter_unpack(entries):
            if tag in sides and kind in _INTEGERS:
                (sides[tag],) = struct.unpack_from(order + _INTEGERS[kind], value)
        yield sides[_SIDES[0]] * sides[_SIDES[1]]
        reader.seek(offset + counter.size + count * entry.size)
        (offset,) = pointer.unpack(reader.read(pointer.size))


def _areas_of_gif(reader: _Reader) -> Iterator[int]:
    """
    Yield the area of the canvas at each frame of a GIF.

    Pillow would decode a frame to get to the next. It enlarges the canvas for a larger frame.
    """
    width, height, flags = struct.unpack("<6xHHB2x", reader.read(13))
    reader.read(_size_of_palette(flags))
    while introducer := reader.read(1):
        if introducer == b"!":  # An extension and its label.
            reader.read(1)
        elif introducer == b",":
            left, top, own_width, own_height, flags = struct.unpack("<HHHHB", reader.read(9))
            width, height = max(width, left + own_width), max(height, top + own_height)
            yield width * height
            reader.read(_size_of_palette(flags) + 1)
        elif introducer == b";":
            return
        else:
            continue  # As Pillow and browsers do with stray bytes.
        size = reader.read(1)
        while size and size[0]:
            # A block and the size of the next.
            size = reader.read(size[0] + 1)[size[0] :]


def _size_of_palette(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


_AREA_READERS = {"GIF": _areas_of_gif, "TIFF": _areas_of_tiff}


def dimensions(uploaded: Any) -> tuple[int, int] | tuple[None, None]:
    """
    Return the width and height of an image as browsers display it, turned by its EXIF data.

    They are ``None`` if unknown. Raises nothing.
    """
    if isinstance(uploaded, DraftFile) and uploaded.is_checked:
        return uploaded.draft.width, uploaded.draft.height  # type: ignore[return-value]
    try:
        image = open_image(uploaded)
        if image is None:
            return None, None
        width, height = image.size
    except Exception as error:
        logger.debug("Pillow does not read %s: %r", uploaded, error)
        return None, None
    return (height, width) if _is_turned(image) else (width, height)


def _is_turned(image: Image.Image) -> bool:
    # Not getexif(): it decodes a PNG to find EXIF data behind the pixels.
    data = image.info.get("exif")
    if not isinstance(data, bytes) or image.format == "TIFF":
        return False
    exif = Image.Exif()
    try:
        exif.load(data)
        return exif.get(_ORIENTATION) in _TURNED
    except Exception as error:  # Pillow does not catch struct.error, for example.
        logger.debug("Pillow does not read %s: %r", "the EXIF data", error)
        return False
