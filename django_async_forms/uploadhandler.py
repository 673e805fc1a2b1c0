"""An upload handler of Django's, for uploads that are staged in a folder."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from mmap import PAGESIZE
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler

#: The bytes that arrive before the disk is told of them. A large upload makes some hundred such
#: calls, and no disk takes long for the rest at its end.
_STEP = 1024 * 1024

#: From Linux's fs.h: begin to write, wait for nothing.
_SYNC_FILE_RANGE_WRITE = 2


class FlushingFileUploadHandler(TemporaryFileUploadHandler):
    """
    Receive an upload in a temporary file, and have the disk write it as it arrives.

    ::

        FILE_UPLOAD_HANDLERS = [
            "django.core.files.uploadhandler.MemoryFileUploadHandler",
            "django_async_forms.uploadhandler.FlushingFileUploadHandler",
        ]

    ``StagingFileSystemStorage`` waits until the disk has every byte of a file. With Django's own
    handler the disk begins only then. With this one it has most of the bytes by then, so the wait
    does not grow with the file, as ``docs/performance.rst`` shows. On systems other than Linux,
    this is Django's handler.
    """

    file: Any

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._begun = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        super().receive_data_chunk(raw_data, start)
        end = start + len(raw_data)
        if end - self._begun >= _STEP:
            # Whole pages: Linux skips one that is written to while it is on its way.
            self._begin_writing(end - end % PAGESIZE)

    def file_complete(self, file_size: int) -> UploadedFile[bytes] | None:
        self._begin_writing(file_size)
        return super().file_complete(file_size)

    def _begin_writing(self, end: int) -> None:
        """Have the system begin to write what has come since the last time, up to ``end``."""
        sync_file_range = _sync_file_range()
        if sync_file_range is not None and end > self._begun:
            self.file.flush()
            # Its result does not matter: fsync comes later, and reports any error.
            length = end - self._begun
            sync_file_range(self.file.fileno(), self._begun, length, _SYNC_FILE_RANGE_WRITE)
            self._begun = end


@cache
def _sync_file_range() -> Any:
    """
    Return the C library's function, or None where there is none.

    Python has only posix_fadvise(), which begins to write too, but forgets what has been written.
    """
    if sys.platform != "linux":
        return None
    function = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if function is not None:
        function.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    return function
