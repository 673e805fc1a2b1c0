"""What a form refuses: files that are larger than ``ASYNC_FORMS`` allows, or of another format."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.template.defaultfilters import filesizeformat
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _
from PIL import Image

from .conf import conf
from .models import Upload


def check_limits(uploaded: File[Any]) -> None:
    """
    Refuse a file over ``MAX_BYTES``, ``MAX_PIXELS``, or of a format that is not in ``FORMATS``.

    Pixels and format are what Pillow has found in it, never what the client said. Raises
    ``ValidationError``.
    """
    limits = conf()
    image = getattr(uploaded, "image", None)  # Where Django's form field has opened one.
    if limits.MAX_BYTES is not None and uploaded.size > limits.MAX_BYTES:
        raise ValidationError(
            _("This file is %(size)s; the limit is %(limit)s."),
            code="too_many_bytes",
            params={
                "size": filesizeformat(uploaded.size),
                "limit": filesizeformat(limits.MAX_BYTES),
            },
        )
    if image is None:
        return
    width, height = image.size
    if limits.MAX_PIXELS is not None and width * height > limits.MAX_PIXELS:
        raise ValidationError(
            _(
                "This image is %(width)d × %(height)d pixels; the limit is %(limit)s megapixels."
            ),
            code="too_many_pixels",
            params={
                "width": width,
                "height": height,
                "limit": number_format(limits.MAX_PIXELS / 1e6, 1),
            },
        )
    # MPO is what many phones write: a JPEG with more images after the first.
    format_name = "JPEG" if image.format == "MPO" else image.format
    if limits.FORMATS is not None and format_name not in limits.FORMATS:
        raise ValidationError(
            _("Images of the format %(format)s are not allowed. Send one of these: %(formats)s."),
            code="format",
            params={"format": format_name, "formats": ", ".join(limits.FORMATS)},
        )


def check_backlog(using: str, uploaded: File[Any]) -> None:
    """
    Refuse one more upload where a database already holds ``MAX_BACKLOG``, pending or failed.

    Raises ``ValidationError``.
    """
    limit = conf().MAX_BACKLOG
    # The row after the last that may be there, which the database finds in an index.
    if limit is not None and Upload.objects.using(using).order_by("pk")[limit - 1 : limit].exists():
        raise ValidationError(
            _("Too many images are waiting to be saved. Please try again in a few minutes."),
            code="too_many_pending",
        )


def content_types() -> list[str]:
    """Return the content types of the formats that are allowed, for the file dialog."""
    formats = conf().FORMATS
    if formats is None:
        return ["image/*"]
    Image.init()
    return [Image.MIME[name] for name in formats if name in Image.MIME]
