"""Models for each case that a form may meet."""

import uuid

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import models
from django.urls import reverse


def by_key(instance, filename):
    return f"by-key/{instance.pk}/{filename}"


def recorded():
    """Return the default storage when it is used, so that a test can replace it."""
    return storages["default"]


class Photo(models.Model):
    """The plain case."""

    title = models.CharField(max_length=100)
    image = models.ImageField(upload_to="photos")

    def __str__(self):
        return self.title

    def get_absolute_url(self):
        return reverse("photo", args=[self.pk])


class Measured(models.Model):
    """Two images: the dimensions of one may be empty, those of the other may not."""

    title = models.CharField(max_length=100)
    image = models.ImageField(
        upload_to="measured/%Y", width_field="width", height_field="height", blank=True
    )
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)
    cover = models.ImageField(
        upload_to="covers", width_field="cover_width", height_field="cover_height", blank=True
    )
    cover_width = models.PositiveIntegerField(editable=False)
    cover_height = models.PositiveIntegerField(editable=False)

    def save(self, *args, **kwargs):
        if not self.cover:
            self.cover_width = self.cover_height = 0
        super().save(*args, **kwargs)


class Stated(models.Model):
    """Dimensions that a form shows."""

    title = models.CharField(max_length=100)
    image = models.ImageField(
        upload_to="stated", width_field="width", height_field="height", blank=True
    )
    width = models.PositiveIntegerField(null=True, blank=True)
    height = models.PositiveIntegerField(null=True, blank=True)


class OnlyImages(models.Model):
    """A row with nothing but images."""

    front = models.ImageField(upload_to="only", blank=True)
    back = models.ImageField(upload_to="only", blank=True)


class Document(models.Model):
    """A plain file, which a worker saves if the form names it."""

    title = models.CharField(max_length=100)
    file = models.FileField(upload_to="documents")
    scan = models.ImageField(upload_to="scans", blank=True)


class Keyed(models.Model):
    """A UUID as the primary key."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    image = models.ImageField(upload_to="keyed")
    title = models.CharField(max_length=100, blank=True)


class Slugged(models.Model):
    """A primary key that a person chooses, and that may be used again."""

    slug = models.SlugField(primary_key=True)
    image = models.ImageField(upload_to="slugged", blank=True)


class Country(models.Model):
    code = models.CharField(max_length=2, unique=True)


class Flag(models.Model):
    """The primary key is a relation to a column that is not a primary key."""

    country = models.OneToOneField(Country, models.CASCADE, primary_key=True, to_field="code")
    image = models.ImageField(upload_to="flags")


class Place(models.Model):
    name = models.CharField(max_length=100)
    image = models.ImageField(upload_to="places", blank=True)


class Restaurant(Place):
    """A child of multi-table inheritance, with an image in each table."""

    menu = models.ImageField(upload_to="menus", blank=True)


class PlaceProxy(Place):
    class Meta:
        proxy = True


class Album(models.Model):
    """The parent of inline formsets."""

    name = models.CharField(max_length=100)
    cover = models.ImageField(upload_to="albums", blank=True)


class Page(models.Model):
    album = models.ForeignKey(Album, models.CASCADE, related_name="pages")
    image = models.ImageField(upload_to="pages")
    caption = models.CharField(max_length=100, blank=True)
    tags = models.ManyToManyField(Country, blank=True)


class Slide(models.Model):
    """An image that has a place among others."""

    album = models.ForeignKey(Album, models.CASCADE, related_name="slides")
    image = models.ImageField(upload_to="slides")
    caption = models.CharField(max_length=100, blank=True)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "pk"]


class Elsewhere(models.Model):
    """Kept in the second database."""

    lives_elsewhere = True

    title = models.CharField(max_length=100)
    image = models.ImageField(upload_to="elsewhere")


class Shrunk(models.Model):
    """An overridden save() changes the image in place, as in many projects."""

    image = models.ImageField(upload_to="shrunk", blank=True)

    def save(self, *args, **kwargs):
        super().save(*args, **kwargs)
        if self.image:
            from PIL import Image

            with Image.open(self.image.path) as image:
                image.thumbnail((64, 64))
                image.save(self.image.path)


class ByKey(models.Model):
    """A name that is made from the primary key, and a default image."""

    title = models.CharField(max_length=100, blank=True)
    image = models.ImageField(upload_to=by_key, default="default.png", null=True)


class Triptych(models.Model):
    """Three images on one form."""

    left = models.ImageField(upload_to="triptychs", blank=True)
    middle = models.ImageField(upload_to="triptychs", blank=True)
    right = models.ImageField(upload_to="triptychs", blank=True)


class Shelved(models.Model):
    """A primary key of two columns."""

    pk = models.CompositePrimaryKey("shelf", "position")
    shelf = models.CharField(max_length=20)
    position = models.PositiveIntegerField()
    image = models.ImageField(upload_to="shelved", blank=True)


class Retouched(Photo):
    """Validation replaces the posted image."""

    class Meta:
        proxy = True

    def clean(self):
        self.image = ContentFile(self.image.read()[::-1], name=f"retouched-{self.title}.jpg")


class Coded(models.Model):
    """A primary key in which "a" and "A" differ, as in short links."""

    code = models.CharField(
        primary_key=True,
        max_length=20,
        db_collation="utf8mb4_bin" if settings.DATABASE == "mariadb" else None,
    )
    image = models.ImageField(upload_to="coded", blank=True)


class Statue(models.Model):
    """Has no form in the tests; only its proxy has one."""

    slug = models.SlugField(primary_key=True)
    image = models.ImageField(upload_to="statues")


class Bronze(Statue):
    class Meta:
        proxy = True
