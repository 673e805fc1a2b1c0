"""An object store as the final storage, with S3's protocol."""

from storages.backends.s3 import S3Storage

from .storages import Faulty


class Objects(Faulty, S3Storage):
    """A bucket."""
