"""Runs the code that the how-to pages show."""

import errno

from django.core.files.storage import FileSystemStorage


class Full(FileSystemStorage):
    """A full final storage."""

    def _save(self, name, content):
        raise OSError(errno.ENOSPC, "No space left on device")
