"""The photos of the example, and its albums, which have many pictures each."""

from django.db import models
from django.urls import reverse


class Photo(models.Model):
    """A photograph, and perhaps a second one that shows a part of it."""

    title = models.CharField(max_length=100)
    image = models.ImageField(upload_to="photos", width_field="width", height_field="height")
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)
    detail = models.ImageField("close-up", upload_to="details", blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self):
        return self.title

    def get_absolute_url(self):
        return reverse("photo", args=[self.pk])


class Album(models.Model):
    """A title with pictures in an order."""

    title = models.CharField(max_length=100)

    class Meta:
        ordering = ["-pk"]

    def __str__(self):
        return self.title

    def get_absolute_url(self):
        return reverse("album", args=[self.pk])


class Picture(models.Model):
    """One of the pictures of an album."""

    album = models.ForeignKey(Album, models.CASCADE, related_name="pictures")
    image = models.ImageField(upload_to="pictures")
    caption = models.CharField(max_length=100, blank=True)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "pk"]

    def __str__(self):
        return self.caption or "A picture"
