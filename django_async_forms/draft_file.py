"""Presents a draft to forms and views as an ``UploadedFile``."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.files.base import File
from django.core.files.uploadedfile import UploadedFile
from PIL import Image

from .codec import deconstruct, reconstruct
from .draft_model import Draft, DraftGoneError

if TYPE_CHECKING:
    _UploadedFile = UploadedFile[bytes]
else:
    _UploadedFile = UploadedFile


class DraftFile(_UploadedFile):
    """
    A draft, as an uploaded file whose bytes are staged already.

    The file is opened when something reads from it. A form that only saves it reads nothing: the
    upload takes over the staged bytes. Code may replace ``file``, or write to this file, as with
    any uploaded file: then the new bytes are staged.
    """

    def __init__(self, draft: Draft, field_name: str | None = None) -> None:
        self.draft = draft
        self.field_name = field_name
        self._opened: File[Any] | None = None
        self._replacement: Any = None
        self._image: Image.Image | None = None
        super().__init__(None, draft.name, draft.content_type, draft.size, None, {})

    @property
    def file(self) -> Any:
        """
        The staged file, opened when it is first needed, or the one that replaces it.

        Raises ``DraftGoneError`` if another form has used the draft up.
        """
        if self._replacement is not None:
            return self._replacement
        if self._opened is None or self._opened.closed:
            try:
                self._opened = self.draft.open_staged()
            except FileNotFoundError as error:
                raise DraftGoneError(f"The bytes of draft {self.draft.pk} are gone.") from error
        return self._opened

    @file.setter
    def file(self, value: Any) -> None:
        # File.__init__ sets None: there is no open file yet.
        self._replacement = value

    @property
    def is_changed(self) -> bool:
        """Whether the bytes may be others than those that are staged and were validated."""
        return self._replacement is not None

    @property
    def is_checked(self) -> bool:
        """Whether the facts about the draft are known, and those of this file."""
        return self.draft.is_checked and not self.is_changed

    @property
    def write(self) -> Any:
        return self._writable().write

    @property
    def writelines(self) -> Any:
        return self._writable().writelines

    @property
    def truncate(self) -> Any:
        return self._writable().truncate

    def _writable(self) -> Any:
        """Return the file, replaced by a copy: the staged one cannot be written to."""
        if not self.is_changed:
            position = self.tell()
            copy: Any = tempfile.TemporaryFile()
            for chunk in self.chunks():
                copy.write(chunk)
            copy.seek(position)
            self._close_opened()
            self._opened = self._replacement = copy
        return self.file

    @property
    def closed(self) -> bool:
        if self.is_changed:
            return bool(self._replacement.closed)
        return self._opened is None or self._opened.closed

    def open(self, mode: str | None = None, *args: Any, **kwargs: Any) -> DraftFile:
        self.file.seek(0)
        return self

    def close(self) -> None:
        self._close_opened()
        if self.is_changed:
            self._replacement.close()

    def _close_opened(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def __del__(self) -> None:
        # Django closes the files of a request. This one is not among them, and a form may open it.
        self._close_opened()

    @property
    def image(self) -> Image.Image:
        """The image as Pillow opens it, which Django's ``ImageField`` adds to an uploaded file."""
        if self._image is None:
            self._image = Image.open(self)
            self.seek(0)
        return self._image

    @image.setter
    def image(self, value: Image.Image) -> None:
        self._image = value

    def describe(self) -> dict[str, Any]:
        """Return the data from which a worker reconstructs the file that was sent."""
        data, _ = deconstruct(self)
        return {**data, "class": self.draft.file_class}

    def copy(self) -> File[Any]:
        """Return an uploaded file with the same bytes that is not a draft."""
        self.seek(0)
        return reconstruct(self.describe(), self)

    def is_accepted_by(self, form_field: forms.Field) -> bool:
        """
        Tell whether a form field would accept this file without reading its bytes once more.

        This holds for fields with Django's own ``to_python()``. A project's own may return another
        file.
        """
        if not self.is_checked:
            return False
        to_python = type(form_field).to_python
        if to_python is forms.ImageField.to_python:
            return self.draft.is_image
        return to_python is forms.FileField.to_python


class LostDraft:
    """Stands in a form for a draft that cannot be claimed, with the error to show."""

    def __init__(self, error: Any) -> None:
        self.error = error
