"""The models with images, and the ledger, which notes each change in the same transaction."""

import time

from django.conf import settings
from django.core.files.storage import storages
from django.db import models
from django.dispatch import Signal


def covers():
    """The storage of the second field."""
    return storages["covers"]


class Picture(models.Model):
    """Two images. A later version of the project has only one of them."""

    title = models.CharField(max_length=100)
    #: All in one folder, like those of slides, so that an object store has to keep names apart.
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


class Album(models.Model):
    """Slides. One request posts several of them."""

    title = models.CharField(max_length=100)

    def __str__(self):
        return self.title


class Slide(models.Model):
    """
    Two images in one folder, and a ``save()`` that does more than Django's.

    So a worker attaches an image in one transaction, and settles its upload in a later one.
    """

    album = models.ForeignKey(Album, models.CASCADE, related_name="slides")
    caption = models.CharField(max_length=100, blank=True)
    position = models.PositiveIntegerField(default=0, editable=False)
    photo = models.ImageField(upload_to="images", blank=True)
    back = models.ImageField(upload_to="images", blank=True)

    def __str__(self):
        return f"{self.album_id}, {self.position}"

    def save(self, *args, **kwargs):
        """Save, and then come to a step of the worker."""
        super().save(*args, **kwargs)
        saved.send(type(self), instance=self)


#: The additional part of ``Slide.save()``.
saved = Signal()


class Fact(models.Model):
    """A line of the ledger. Lines for one row are in order, because each holds the row's lock."""

    class What(models.TextChoices):
        # By a form.
        POSTED = "posted"
        TITLED = "titled"
        CLEARED = "cleared"
        DELETED = "deleted"
        # By a view that saves the rows of a formset again.
        RESAVED = "resaved"
        # By other code: a new file, no file, and the name that an instance was loaded with.
        REPLACED = "replaced"
        EMPTIED = "emptied"
        STALE = "stale"
        # By a worker.
        ATTACHED = "attached"
        DETACHED = "detached"

    what = models.CharField(max_length=10, choices=What.choices)
    #: The key of the picture or the slide; the field tells which.
    picture = models.BigIntegerField()
    field = models.CharField(max_length=10, blank=True)
    upload = models.UUIDField(null=True)
    digest = models.CharField(max_length=64, blank=True)
    #: The file's name in the final storage, the picture's title, or the held name of a posted one.
    name = models.CharField(max_length=255, blank=True)
    #: The request of the fact.
    token = models.CharField(max_length=32, blank=True)
    at = models.FloatField(default=time.time)

    def __str__(self):
        return f"{self.what} {self.picture} {self.field}"
