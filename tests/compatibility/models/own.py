"""Projects' own fields, descriptors, names, storages and save() methods."""

import copy
import io
import uuid
from pathlib import Path

from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import models, transaction
from django.db.models.fields.files import (
    FieldFile,
    FileDescriptor,
    ImageFieldFile,
    ImageFileDescriptor,
)
from django.db.models.signals import pre_save
from django.dispatch import receiver
from PIL import Image

from tests.project.witness import witness


class GreyFile(ImageFieldFile):
    """Stores a grey copy of each image, and notes the image's mean in another column."""

    def save(self, name, content, save=True):
        witness().note("own-field")
        with Image.open(content) as image:
            grey = image.convert("L")
        content.seek(0)
        super().save(name, content, save)
        buffer = io.BytesIO()
        grey.save(buffer, "PNG")
        self.storage.save(f"{self.name}.grey.png", ContentFile(buffer.getvalue()))
        self.instance.mean = sum(grey.tobytes()) // len(grey.tobytes())


class StrictDescriptor(ImageFileDescriptor):
    """A descriptor from before Django 3, which does not know deferred fields."""

    def __get__(self, instance, cls=None):
        if instance is None:
            return self
        if self.field.attname not in instance.__dict__:
            raise AttributeError(f"{self.field.attname} was never set.")
        return super().__get__(instance, cls)


class GreyField(models.ImageField):
    attr_class = GreyFile
    descriptor_class = StrictDescriptor


class Grey(models.Model):
    title = models.CharField(max_length=100, blank=True)
    image = GreyField(upload_to="grey", blank=True, width_field="width", height_field="height")
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)
    mean = models.PositiveIntegerField(null=True, editable=False)


class UnluckyFile(ImageFieldFile):
    """Fails after the image is stored, as a field may that makes renditions then."""

    def save(self, name, content, save=True):
        super().save(name, content, save)
        raise OSError("There is no space left for a rendition.")


class UnluckyField(models.ImageField):
    attr_class = UnluckyFile


class Unlucky(models.Model):
    image = UnluckyField(upload_to="unlucky", blank=True)


class UpperFile(FieldFile):
    """Stores text in capitals."""

    def save(self, name, content, save=True):
        super().save(name.upper(), ContentFile(content.read().upper()), save)


class LookingDescriptor(FileDescriptor):
    """Counts the accesses to the file in an attribute of the instance."""

    def __get__(self, instance, cls=None):
        if instance is not None:
            instance.looks = getattr(instance, "looks", 0) + 1
        return super().__get__(instance, cls)


class UpperField(models.FileField):
    attr_class = UpperFile
    descriptor_class = LookingDescriptor


class Upper(models.Model):
    title = models.CharField(max_length=100, blank=True)
    text = UpperField(upload_to="upper", blank=True)


class Gallery(models.Model):
    """A related object that an image's name and storage depend on."""

    name = models.CharField(max_length=100)


def by_chance(instance, filename):
    return f"chance/{uuid.uuid4().hex}{Path(filename).suffix}"


def by_gallery(instance, filename):
    return f"galleries/{instance.gallery.name}/{instance.title}/{filename}"


def shelf():
    """The storage, chosen when it is first used."""
    return storages["default"]


class Named(models.Model):
    title = models.CharField(max_length=100, blank=True)
    gallery = models.ForeignKey(Gallery, models.CASCADE, null=True)
    chance = models.ImageField(upload_to=by_chance, storage=shelf, blank=True)
    image = models.ImageField(upload_to=by_gallery, storage=shelf, blank=True)


def made_small(file, name):
    with Image.open(file) as image:
        image.thumbnail((16, 16))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG")
    return ContentFile(buffer.getvalue(), name=name)


class SmallBeforeSave(models.Model):
    """An overridden save() shrinks a new image and sets its dimensions before it is stored."""

    title = models.CharField(max_length=100, blank=True)
    image = models.ImageField(upload_to="small", blank=True)
    longest = models.PositiveIntegerField(null=True, editable=False)

    def save(self, *args, **kwargs):
        if self.image and not self.image._committed:
            witness().note("own-save")
            self.image = made_small(self.image, self.image.name)
            self.longest = max(self.image.width, self.image.height)
        super().save(*args, **kwargs)


class SmallAlways(models.Model):
    """An overridden save() shrinks the image at every call."""

    title = models.CharField(max_length=100, blank=True)
    image = models.ImageField(upload_to="small", blank=True)

    def save(self, *args, **kwargs):
        if self.image:
            self.image = made_small(self.image, Path(self.image.name).name)
        super().save(*args, **kwargs)


class SmallInPlace(models.Model):
    """An overridden save() shrinks the stored image in place."""

    title = models.CharField(max_length=100, blank=True)
    image = models.ImageField(upload_to="small", blank=True)

    @transaction.atomic
    def save(self, *args, **kwargs):
        super().save(*args, **kwargs)
        if self.image:
            with Image.open(self.image.path) as image:
                image.thumbnail((16, 16))
                image.save(self.image.path)


class SmallBySignal(models.Model):
    """A receiver of pre_save shrinks a new image and sets its dimensions."""

    title = models.CharField(max_length=100, blank=True)
    image = models.ImageField(upload_to="small", blank=True)
    longest = models.PositiveIntegerField(null=True, editable=False)


@receiver(pre_save, sender=SmallBySignal)
def make_small(instance, **kwargs):
    if instance.image and not instance.image._committed:
        instance.image = made_small(instance.image, instance.image.name)
        instance.longest = max(instance.image.width, instance.image.height)


class Versioned(models.Model):
    """An overridden save() keeps a copy of the old instance."""

    title = models.CharField(max_length=100, blank=True)
    image = models.ImageField(upload_to="versioned", blank=True)
    is_copy = models.BooleanField(default=False, editable=False)

    def save(self, *args, **kwargs):
        if self.image and not self.image._committed and not self.is_copy:
            version = copy.copy(self)
            version.pk, version.is_copy, version.image = None, True, ""
            version._state = models.base.ModelState()
            version.save()
        super().save(*args, **kwargs)


class Frozen(models.Model):
    """An overridden save() does nothing if the row exists."""

    image = models.ImageField(upload_to="frozen", blank=True)

    def save(self, *args, **kwargs):
        if self._state.adding:
            super().save(*args, **kwargs)
