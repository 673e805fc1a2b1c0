"""An upload handler that has the disk write an upload while it still arrives."""

from __future__ import annotations

import ctypes
import hashlib
import sys
from functools import cache
from mmap import PAGESIZE
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler

from .checksum import note_sha256
from .conf import conf

#: The bytes that arrive between two calls to the disk. A large upload makes about a hundred such
#: calls, and a disk writes the rest at the end quickly.
_STEP = 1024 * 1024

#: From Linux's fs.h: begin to write, wait for nothing.
_SYNC_FILE_RANGE_WRITE = 2


class FlushingFileUploadHandler(TemporaryFileUploadHandler):
    """
    Receive an upload in a temporary file, and make the disk write it as it arrives.

    ::

        FILE_UPLOAD_HANDLERS = [
            "django.core.files.uploadhandler.MemoryFileUploadHandler",
            "django_async_forms.uploadhandler.FlushingFileUploadHandler",
        ]

    ``StagingFileSystemStorage`` waits until the disk has every byte of a file. With Django's own
    handler, the disk begins to write only when that wait begins. With this handler, the disk has
    most of the bytes by then, so the wait does not grow with the file:
    ``docs/performance.rst`` shows the times. The handler also takes the SHA-256 that ``CHECKSUM``
    asks for, so that the form need not read the file. On systems other than Linux, the disk writes
    as with Django's handler.
    """

    file: Any

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._begun = 0
        self._sha256 = hashlib.sha256() if conf().CHECKSUM else None

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        super().receive_data_chunk(raw_data, start)
        if self._sha256 is not None:
            self._sha256.update(raw_data)
        end = start + len(raw_data)
        if end - self._begun >= _STEP:
            # Whole pages only: Linux skips a page that changes while the disk writes it.
            self._begin_writing(end - end % PAGESIZE)

    def file_complete(self, file_size: int) -> UploadedFile[bytes] | None:
        self._begin_writing(file_size)
        uploaded = super().file_complete(file_size)
        if uploaded is not None and self._sha256 is not None:
            note_sha256(uploaded, self._sha256.hexdigest())
        return uploaded

    def _begin_writing(self, end: int) -> None:
        """Make the system begin to write the bytes since the last call, up to ``end``."""
        sync_file_range = _sync_file_range()
        if sync_file_range is not None and end > self._begun:
            self.file.flush()
            # The result does not matter: the later fsync reports any error.
            length = end - self._begun
            sync_file_range(self.file.fileno(), self._begun, length, _SYNC_FILE_RANGE_WRITE)
            self._begun = end


@cache
def _sync_file_range() -> Any:
    """
    Return the function of the C library, or None if it is missing.

    Python's posix_fadvise() begins to write as well, but drops the written pages from memory.
    """
    if sys.platform != "linux":
        return None
    function = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if function is not None:
        function.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    return function
