"""The limits in ``ASYNC_FORMS``: a form refuses files by size, pixels, format and backlog."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.db.models import FileField, ImageField
from django.template.defaultfilters import filesizeformat
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _
from PIL import Image

from .conf import conf
from .draft_file import DraftFile
from .draft_model import Draft
from .fields import files_in
from .images import SHOWN, has_more_pixels, open_image
from .models import Upload

#: The formats that browsers display, each of which has one content type. An MPO shares JPEG's.
_DISPLAYED = SHOWN.keys() - {"MPO"}


def check_limits(field: FileField | None, value: Any) -> None:
    """
    Refuse a file over ``MAX_BYTES`` or ``MAX_PIXELS``, or in a format that is not in ``FORMATS``.

    ``value`` is what a form field returns: a file, or a sequence with one. Pillow detects pixels
    and format; the client's claims do not count. Both are checked for image fields, and for a plain
    ``FileField`` whose form field opens the file as an image. A draft that was validated when it
    arrived is not checked again. Raises ``ValidationError``.
    """
    for uploaded in files_in(value):
        _check_file(field, uploaded)


def _check_file(field: FileField | None, uploaded: File[Any]) -> None:
    if isinstance(uploaded, DraftFile) and uploaded.is_checked:
        return
    limits = conf()
    check_size(uploaded.size, limits.MAX_BYTES)
    if limits.MAX_PIXELS is None and limits.FORMATS is None:
        return
    if not isinstance(field, ImageField) and not hasattr(uploaded, "image"):
        return
    try:
        image = open_image(uploaded)
    except Image.DecompressionBombError:
        image = None
        if limits.MAX_PIXELS is not None:
            raise _too_many_pixels(limits.MAX_PIXELS) from None
    if image is not None and limits.MAX_PIXELS is not None:
        _check_pixels(uploaded, image, limits.MAX_PIXELS)
    if limits.FORMATS is not None:
        _check_format(image, limits.FORMATS)


def check_size(size: int, limit: int | None) -> None:
    """Refuse a file that is larger than ``limit`` bytes. Raises ``ValidationError``."""
    if limit is not None and size > limit:
        raise ValidationError(
            _("This file is %(size)s; the limit is %(limit)s."),
            code="too_many_bytes",
            params={"size": filesizeformat(size), "limit": filesizeformat(limit)},
        )


def _check_pixels(uploaded: File[Any], image: Image.Image, limit: int) -> None:
    width, height = image.size
    if width * height > limit:
        raise ValidationError(
            _("This image is %(width)d × %(height)d pixels; the limit is %(limit)s megapixels."),
            code="too_many_pixels",
            params={"width": width, "height": height, "limit": number_format(limit / 1e6, 1)},
        )
    if has_more_pixels(uploaded, image, limit):
        raise _too_many_pixels(limit)


def _too_many_pixels(limit: int) -> ValidationError:
    return ValidationError(
        _("This image, with all its frames, exceeds the limit of %(limit)s megapixels."),
        code="too_many_pixels",
        params={"limit": number_format(limit / 1e6, 1)},
    )


def _check_format(image: Image.Image | None, formats: Sequence[str]) -> None:
    if image is None:
        # Raise the error of Django's own form field, because the project's field did not.
        raise ValidationError(
            forms.ImageField.default_error_messages["invalid_image"], code="invalid_image"
        )
    # Many phones write MPO: a JPEG with more images after the first.
    format_name = "JPEG" if image.format == "MPO" else image.format
    if format_name not in formats:
        raise ValidationError(
            _("Images of the format %(format)s are not allowed. Choose one of these: %(formats)s."),
            code="format",
            params={"format": format_name, "formats": ", ".join(formats)},
        )


def check_value_against_backlog(get_using: Callable[[], str], value: Any) -> None:
    """
    Refuse what a form field returns if it has a new file, and ``check_backlog()`` refuses one more.

    ``get_using`` returns the database. A draft is not refused, because it is among those already.
    Raises ``ValidationError``.
    """
    has_file = any(not isinstance(file, DraftFile) for file in files_in(value))
    if has_file and conf().MAX_BACKLOG is not None:
        check_backlog(get_using())


def check_backlog(using: str) -> None:
    """
    Refuse a file if its database already holds ``MAX_BACKLOG`` uploads and drafts.

    Raises ``ValidationError``.
    """
    limit = conf().MAX_BACKLOG
    if limit is None:
        return
    # Count no further than the limit.
    count = Upload.objects.using(using).order_by("pk")[:limit].count()
    count += Draft.objects.using(using).order_by("pk")[:limit].count()
    if count >= limit:
        raise ValidationError(
            _("Too many images are waiting to be saved. Please try again in a few minutes."),
            code="too_many_pending",
        )


def content_types() -> list[str]:
    """
    Return the content types of the allowed formats, for the file dialog.

    Browsers have other types, or none, for formats that they do not display. These formats are
    listed by their file extensions, too.
    """
    formats = conf().FORMATS
    if formats is None:
        return ["image/*"]
    Image.init()
    types = []
    for name in formats:
        if name in Image.MIME:
            types.append(Image.MIME[name])
        if name not in _DISPLAYED:
            types += sorted(ending for ending, of in Image.EXTENSION.items() if of == name)
    return types
