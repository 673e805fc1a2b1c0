"""Final storages to compare with: a folder with the latency of an object store, and a store."""

import time

from django.conf import settings
from django.core.files.storage import FileSystemStorage

#: Bytes in a second, over a good connection.
BANDWIDTH = 100_000_000
BUCKET = "photos"


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


def object_store(url=settings.S3_URL):
    """Return an S3 storage at the address of this process, or a folder if it has none."""
    if not url:
        return FileSystemStorage()
    from storages.backends.s3 import S3Storage

    return S3Storage(bucket_name=BUCKET, endpoint_url=url, region_name="us-east-1")
