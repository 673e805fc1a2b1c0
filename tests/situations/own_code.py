"""Models with unusual classes and methods."""

import os
from functools import partial, partialmethod

from django.db import models
from django.db.models.functions import Length

from .models import Titled


class Stamped(models.Model):
    """An abstract base that comes after a model with an image."""

    stamp = models.CharField(max_length=20, editable=False)

    def save(self, *args, **kwargs):
        self.stamp = "set in save()"
        super().save(*args, **kwargs)

    class Meta:
        abstract = True


class Pictured(Titled):
    """The parent of the next models."""


class StampedChild(Pictured, Stamped):
    """Its save() is that of the second base."""


class Front(models.Model):
    front_id = models.AutoField(primary_key=True)
    front = models.ImageField(upload_to="coins", blank=True)

    class Meta:
        app_label = "project"


class Back(models.Model):
    back_id = models.AutoField(primary_key=True)
    back = models.ImageField(upload_to="coins", blank=True)

    class Meta:
        app_label = "project"


class Coin(Front, Back):
    """Has two parents with an image each."""

    class Meta:
        app_label = "project"


class Cleaning(models.Model):
    """An abstract base without columns, which a proxy may have."""

    def save(self, *args, **kwargs):
        self.title = f"{self.title} saved"
        super().save(*args, **kwargs)

    def clean_fields(self, exclude=None):
        super().clean_fields(exclude=exclude)
        self.title = f"{self.title} cleaned"

    class Meta:
        abstract = True


class PicturedProxy(Pictured, Cleaning):
    class Meta(Titled.Meta):
        proxy = True


class CleanedByKeyword(Titled):
    def clean_fields(self, **kwargs):
        super().clean_fields(**kwargs)


class Counted(models.Model):
    """An image, and a column that the database generates from it."""

    image = models.ImageField(upload_to="counted", blank=True)
    length = models.GeneratedField(
        expression=Length("image"), output_field=models.IntegerField(), db_persist=True
    )

    class Meta:
        app_label = "project"


class DefaultOfDatabase(Titled):
    image = models.ImageField(upload_to="defaults", blank=True, db_default="placeholder.png")


class NamedByKey(Titled):
    """Moves its stored image to a name that is made from the key."""

    def save(self, *args, **kwargs):
        super().save(*args, **kwargs)
        if self.image and not self.image.name.startswith("by-key/"):
            path = self.image.path
            self.image.name = f"by-key/{self.pk}-{os.path.basename(path)}"
            os.makedirs(os.path.dirname(self.image.path), exist_ok=True)
            os.rename(path, self.image.path)
            super().save(update_fields=["image"])


class OnlyOneMain(Titled):
    """Marks the row that was saved last as the main one."""

    is_main = models.BooleanField(default=True)

    def save(self, *args, **kwargs):
        if self.is_main:
            OnlyOneMain.objects.filter(is_main=True).update(is_main=False)
        super().save(*args, **kwargs)


class Point:
    """Has its address in memory as its repr(), as a geometry of GeoDjango."""

    __hash__ = None

    def __init__(self, x, y):
        self.x, self.y = int(x), int(y)

    def __str__(self):
        return f"{self.x} {self.y}"

    def __eq__(self, other):
        return str(self) == str(other)


class PointField(models.TextField):
    def from_db_value(self, value, expression, connection):
        return None if value is None else Point(*value.split())

    def get_prep_value(self, value):
        return value

    def get_db_prep_value(self, value, connection, prepared=False):
        return None if value is None else str(value)


class Located(Titled):
    """Notes a point that it finds in a new image."""

    point = PointField(null=True, editable=False)

    def save(self, *args, **kwargs):
        if self.image and not self.image._committed:
            self.point = Point(self.image.width, self.image.height)
        super().save(*args, **kwargs)


class PrefixedField(models.ImageField):
    """Keeps a prefix in its column that instances do not see."""

    def from_db_value(self, value, expression, connection):
        return value.removeprefix("prefix:") if value else value

    def get_prep_value(self, value):
        value = super().get_prep_value(value)
        return f"prefix:{value.removeprefix('prefix:')}" if value else value


class Prefixed(Titled):
    image = PrefixedField(upload_to="prefixed", blank=True)


class WritesWhatChanged(Titled):
    """Updates only columns that have changed since it was made."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._remember()

    def _remember(self):
        self._first = {name: str(self.__dict__.get(name)) for name in ("title", "image")}

    def save(self, *args, **kwargs):
        if not self._state.adding:
            kwargs["update_fields"] = [
                name for name, value in self._first.items() if str(self.__dict__[name]) != value
            ]
        super().save(*args, **kwargs)
        self._remember()


class BindingDecorator:
    """A decorator whose result is not a function, as that of wrapt and of many projects."""

    def __init__(self, function):
        self.function = function

    def __get__(self, instance, owner=None):
        return self if instance is None else partial(self.function, instance)


class Decorated(Titled):
    """Has methods that are not functions."""

    def _save(self, stamp, *args, **kwargs):
        self.title = f"{self.title} {stamp}"
        super().save(*args, **kwargs)

    save = partialmethod(_save, "saved")

    @BindingDecorator
    def clean_fields(self, exclude=None):
        super().clean_fields(exclude=exclude)
        self.title = f"{self.title} cleaned"

    @staticmethod
    def from_db(*args, **kwargs):
        instance = super(Decorated, Decorated).from_db(*args, **kwargs)
        instance.title = f"{instance.title} loaded"
        return instance
