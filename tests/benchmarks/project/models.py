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
    """On the local disk, or in the object store of a process that has one."""


class Distant50(_Photo):
    image = models.ImageField(upload_to="photos", blank=True, storage=storages.distant_50)


class Distant200(_Photo):
    image = models.ImageField(upload_to="photos", blank=True, storage=storages.distant_200)
