"""Models with a title and an image for each language: see translation.py."""

from django.db import models
from django.utils.translation import get_language


def by_language(instance, filename):
    return f"{get_language()}/{filename}"


class Photo(models.Model):
    title = models.CharField(max_length=100, blank=True)
    note = models.CharField(max_length=100, blank=True)
    image = models.ImageField(upload_to=by_language, blank=True)


class Album(models.Model):
    name = models.CharField(max_length=100)


class Page(models.Model):
    album = models.ForeignKey(Album, models.CASCADE)
    image = models.ImageField(upload_to="pages", blank=True)
