"""The pictures, and the ledger: what was committed, noted in the transaction that commits it."""

import time

from django.conf import settings
from django.core.files.storage import storages
from django.db import models


def covers():
    """The storage of the second field."""
    return storages["covers"]


class Picture(models.Model):
    """Two images, of which a later version of the project has only one."""

    title = models.CharField(max_length=100)
    image = models.ImageField(upload_to="images")
    if settings.VERSION == "before":
        cover = models.ImageField(
            upload_to="covers",
            storage=covers,
            blank=True,
            width_field="cover_width",
            height_field="cover_height",
        )
        cover_width = models.PositiveIntegerField(null=True, editable=False)
        cover_height = models.PositiveIntegerField(null=True, editable=False)

    def __str__(self):
        return self.title


class Fact(models.Model):
    """A line of the ledger. Of one picture they are in order: all of them hold its row's lock."""

    class What(models.TextChoices):
        POSTED = "posted"
        TITLED = "titled"
        CLEARED = "cleared"
        DELETED = "deleted"
        ATTACHED = "attached"

    what = models.CharField(max_length=10, choices=What.choices)
    picture = models.BigIntegerField()
    field = models.CharField(max_length=10, blank=True)
    upload = models.UUIDField(null=True)
    digest = models.CharField(max_length=64, blank=True)
    #: The file's name in the final storage, or the picture's title.
    name = models.CharField(max_length=255, blank=True)
    #: The request that it came with.
    token = models.CharField(max_length=32, blank=True)
    at = models.FloatField(default=time.time)

    def __str__(self):
        return f"{self.what} {self.picture} {self.field}"
