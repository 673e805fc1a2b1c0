"""django-storages: an image in an S3 bucket on the test's own server."""

from django.conf import settings
from django.db import models
from storages.backends.s3 import S3Storage

from tests.project.witness import witness

BUCKET = "pictures"


class LoopbackStorage(S3Storage):
    """Reads the address of the server from a file, because workers start before the server."""

    def get_default_settings(self):
        return {
            **super().get_default_settings(),
            "access_key": "nobody",
            "secret_key": "nothing",
            "bucket_name": BUCKET,
            "region_name": "us-east-1",
            "file_overwrite": False,
        }

    @property
    def connection(self):
        self.endpoint_url = (settings.DATA / "s3").read_text()
        return super().connection

    def _save(self, name, content):
        witness().note("django-storages")
        return super()._save(name, content)


class Remote(models.Model):
    title = models.CharField(max_length=100, blank=True)
    image = models.ImageField(
        upload_to="remote",
        storage=LoopbackStorage,
        blank=True,
        width_field="width",
        height_field="height",
    )
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)
