"""Does what the how-to pages say, with the very code that they show."""

import errno

from django.core.files.storage import FileSystemStorage


class Full(FileSystemStorage):
    """A final storage without room."""

    def _save(self, name, content):
        raise OSError(errno.ENOSPC, "No space left on device")
