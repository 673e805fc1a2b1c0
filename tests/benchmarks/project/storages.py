"""Final storages to compare with: folders with the latency of an object store."""

import time

from django.conf import settings
from django.core.files.storage import FileSystemStorage

#: Bytes in a second, over a good connection.
BANDWIDTH = 100_000_000


class DistantStorage(FileSystemStorage):
    """
    A folder that answers after ``latency`` seconds.

    Saving takes one request, as with the defaults of django-storages' S3, which does not call
    ``exists()`` first.
    """

    def __init__(self, latency):
        super().__init__(location=settings.MEDIA_ROOT / "distant")
        self.latency = latency

    def _save(self, name, content):
        time.sleep(self.latency + content.size / BANDWIDTH)
        return super()._save(name, content)


def distant_50():
    return DistantStorage(0.05)


def distant_200():
    return DistantStorage(0.2)
