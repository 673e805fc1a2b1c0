"""A photo, once for each final storage."""

from django.db import models

from . import storages


class _Photo(models.Model):
    title = models.CharField(max_length=100)
    # Optional, so that the same form can be saved without it.
    image = models.ImageField(upload_to="photos", blank=True)

    class Meta:
        abstract = True


class Photo(_Photo):
    """On the local disk."""


class Distant50(_Photo):
    image = models.ImageField(upload_to="photos", blank=True, storage=storages.distant_50)


class Distant200(_Photo):
    image = models.ImageField(upload_to="photos", blank=True, storage=storages.distant_200)


class InObjectStore(_Photo):
    image = models.ImageField(upload_to="photos", blank=True, storage=storages.object_store)


class Blob(models.Model):
    """The bytes of a file in one value, for the least time that a database needs."""

    data = models.BinaryField()


class Waiting(models.Model):
    """An image that waits for the task that is written by hand."""

    photo = models.ForeignKey(Photo, models.CASCADE)
    name = models.CharField(max_length=200)
    data = models.BinaryField()
