"""A storage that is slow on purpose, so that a person sees who waits for it."""

import time

from django.core.files.storage import FileSystemStorage


class SlowFileSystemStorage(FileSystemStorage):
    """A folder that takes ``seconds`` longer to save a file, in whichever process saves it."""

    def __init__(self, *args, seconds=0, **kwargs):
        super().__init__(*args, **kwargs)
        self.seconds = seconds

    def _save(self, name, content):
        time.sleep(self.seconds)
        return super()._save(name, content)
