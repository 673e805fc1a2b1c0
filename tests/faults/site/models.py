"""The pictures, and the ledger: what was committed, noted in the transaction that commits it."""

import time
import uuid

from django.conf import settings
from django.core.files.storage import storages
from django.db import models


def covers():
    """The storage of the second field."""
    return storages["covers"]


def by_chance(picture, filename):
    """
    A name that no other image has.

    An object store looks for a free name and then stores, so two images that are stored under one
    name at the same moment may overwrite each other, in plain Django as well.
    """
    return f"images/{uuid.uuid4().hex}/{filename}"


class Picture(models.Model):
    """Two images, of which a later version of the project has only one."""

    title = models.CharField(max_length=100)
    image = models.ImageField(upload_to=by_chance)
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
