"""
The models that pages mention and do not show.

They have no migrations, so their tables are made before the table of the users.
"""

from django.conf import settings
from django.db import models


class Photo(models.Model):
    title = models.CharField(max_length=100)
    image = models.ImageField(upload_to="photos", blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, db_constraint=False
    )
    is_draft = models.BooleanField(default=False)

    def __str__(self):
        return self.title

    def get_absolute_url(self):
        return f"/photos/{self.pk}/"


class Profile(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, db_constraint=False)
    avatar = models.ImageField(upload_to="avatars")

    def get_absolute_url(self):
        return f"/profiles/{self.pk}/"


class Document(models.Model):
    title = models.CharField(max_length=100)
    scan = models.ImageField(upload_to="scans")
    attachment = models.FileField(upload_to="attachments")
    thumbnail = models.ImageField(upload_to="thumbnails")


class Album(models.Model):
    name = models.CharField(max_length=100)
    cover = models.ImageField(upload_to="albums", blank=True)

    def get_absolute_url(self):
        return f"/albums/{self.pk}/"


class Page(models.Model):
    album = models.ForeignKey(Album, models.CASCADE, null=True)
    image = models.ImageField(upload_to="pages")
    caption = models.CharField(max_length=100, blank=True)


class Picture(models.Model):
    album = models.ForeignKey(Album, models.CASCADE)
    image = models.ImageField(upload_to="pictures")
    caption = models.CharField(max_length=100, blank=True)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position"]
