"""A model for each habit. The image is always called ``image``, and the title ``title``."""

import copy
import io
import uuid

from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.db import IntegrityError, models, transaction
from PIL import Image


class Titled(models.Model):
    title = models.CharField(max_length=100)
    image = models.ImageField(upload_to="habits", blank=True)

    class Meta:
        abstract = True


class Remembering(Titled):
    """Remembers two fields in __init__(), to see later what has changed."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.first_title = self.title
        self.first_image = self.image.name


class Noting(Titled):
    """Changes its JSON in place."""

    notes = models.JSONField(default=dict, editable=False)

    def save(self, *args, **kwargs):
        if self.image and not self.image._committed:
            self.notes.setdefault("names", []).append(self.image.name)
        super().save(*args, **kwargs)


class Thumbnailed(Titled):
    """Makes a thumbnail with the thumbnail's own save(), which sets its dimensions."""

    thumbnail = models.ImageField(
        upload_to="thumbnails",
        width_field="thumbnail_width",
        height_field="thumbnail_height",
        blank=True,
        editable=False,
    )
    thumbnail_width = models.PositiveIntegerField(null=True, editable=False)
    thumbnail_height = models.PositiveIntegerField(null=True, editable=False)

    def save(self, *args, **kwargs):
        if self.image and not self.image._committed:
            with Image.open(self.image) as image:
                image.thumbnail((16, 16))
                file = io.BytesIO()
                image.save(file, "JPEG")
            self.thumbnail.save("small.jpg", ContentFile(file.getvalue()), save=False)
        super().save(*args, **kwargs)


class Framed(models.Model):
    """Dimensions that must not be empty, without code that fills them."""

    title = models.CharField(max_length=100)
    image = models.ImageField(upload_to="habits", width_field="width", height_field="height")
    width = models.PositiveIntegerField(editable=False)
    height = models.PositiveIntegerField(editable=False)


class Vector:
    """Compares element by element and has no truth value, like an array of numpy."""

    __hash__ = None

    def __init__(self, numbers):
        self.numbers = [float(number) for number in numbers]

    def tolist(self):
        return list(self.numbers)

    def __eq__(self, other):
        return Vector(a == b for a, b in zip(self.numbers, other.numbers, strict=True))

    def __ne__(self, other):
        return Vector(a != b for a, b in zip(self.numbers, other.numbers, strict=True))

    def __bool__(self):
        raise ValueError("The truth value of an array with more than one element is ambiguous.")


class VectorField(models.TextField):
    """Returns arrays, like pgvector's field."""

    def from_db_value(self, value, expression, connection):
        return None if value is None else Vector(value.split(","))

    def to_python(self, value):
        return value

    def get_prep_value(self, value):
        return ",".join(map(str, value.numbers)) if isinstance(value, Vector) else value


class Embedded(Titled):
    """An array column that save() computes for a new image."""

    embedding = VectorField(null=True, editable=False)

    def save(self, *args, **kwargs):
        if self.image and not self.image._committed:
            self.embedding = Vector([self.image.width, self.image.height])
        super().save(*args, **kwargs)


class Searched(Titled):
    """A column that is derived from two others."""

    search = models.CharField(max_length=200, default="", editable=False)

    def save(self, *args, **kwargs):
        self.search = f"{self.title} {self.image.name.rpartition('/')[2] if self.image else ''}"
        super().save(*args, **kwargs)


class Counted(Titled):
    """Counts its saves in the database."""

    saves = models.PositiveIntegerField(default=0, editable=False)

    def save(self, *args, **kwargs):
        if not self._state.adding:
            self.saves = models.F("saves") + 1
        super().save(*args, **kwargs)


class SavedTwice(Titled):
    """Saves itself again, with its key in a column."""

    number = models.CharField(max_length=20, default="", editable=False)

    def save(self, *args, **kwargs):
        super().save(*args, **kwargs)
        self.number = f"No. {self.pk}"
        super().save(update_fields=["number"])


class SavedTwiceWhole(Titled):
    """Saves itself again, with all its columns."""

    number = models.CharField(max_length=20, default="", editable=False)

    def save(self, *args, **kwargs):
        super().save(*args, **kwargs)
        self.number = f"No. {self.pk}"
        super().save()


class Versioned(Titled):
    """Keeps its old version in another row."""

    is_version = models.BooleanField(default=False, editable=False)

    def save(self, *args, **kwargs):
        if self.pk and not self.is_version:
            version = copy.copy(type(self).objects.get(pk=self.pk))
            version.pk, version._state.adding, version.is_version = None, True, True
            version.save()
        super().save(*args, **kwargs)


class Refreshed(Titled):
    """Refreshes itself after it was saved, for values that the database computes."""

    def save(self, *args, **kwargs):
        super().save(*args, **kwargs)
        self.refresh_from_db()


class Trying(models.Model):
    """Tries another slug if its own is taken."""

    slug = models.SlugField(unique=True, editable=False)
    title = models.CharField(max_length=100)
    image = models.ImageField(upload_to="habits", blank=True)
    #: Whether each try has a savepoint, which an open transaction needs.
    has_savepoint = False

    def save(self, *args, **kwargs):
        self.slug = self.slug or self.title
        for number in range(2, 9):
            try:
                if self.has_savepoint:
                    with transaction.atomic():
                        return super().save(*args, **kwargs)
                return super().save(*args, **kwargs)
            except IntegrityError:
                self.slug = f"{self.title}-{number}"
        raise AssertionError("All are taken.")


class TryingInTransaction(Trying):
    has_savepoint = True

    class Meta:
        proxy = True


class Durable(Titled):
    """Is saved in a durable block, which must be the outermost."""

    def save(self, *args, **kwargs):
        with transaction.atomic(durable=True):
            super().save(*args, **kwargs)


class Strict(Titled):
    """Refuses a title in save(), before the write or, if told so, after it."""

    def save(self, *args, **kwargs):
        if self.title == "bad":
            raise ValidationError("No bad titles.")
        super().save(*args, **kwargs)
        if self.title == "bad afterwards":
            raise ValidationError("No bad titles.")


class Selected(Titled):
    class Meta:
        select_on_save = True


class SelectedChild(Selected):
    """A child of multi-table inheritance with another image."""

    menu = models.ImageField(upload_to="habits", blank=True)

    class Meta:
        select_on_save = True


def make_key():
    return uuid.uuid4().hex


class DefaultKeyed(Titled):
    """A key of text that the model chooses."""

    key = models.CharField(primary_key=True, max_length=32, default=make_key, editable=False)


class Narrow(Titled):
    """A save() with fewer parameters than Django's."""

    def save(self, *, update_fields=None):
        super().save(update_fields=update_fields)


class Working(Titled):
    """Works on its stored image, for example to shrink it. A test sets ``work``."""

    work = staticmethod(lambda instance: None)

    def save(self, *args, **kwargs):
        super().save(*args, **kwargs)
        if self.image:
            type(self).work(self)


class Preparing(Titled):
    """Works on its image before it is stored."""

    work = staticmethod(lambda instance: None)

    def save(self, *args, **kwargs):
        if self.image and not self.image._committed:
            type(self).work(self)
        super().save(*args, **kwargs)


class Stamped(Titled):
    """The times of each save and of the image's change (like model_utils' MonitorField)."""

    saved_at = models.DateTimeField(auto_now=True)


class FollowingField(models.CharField):
    """Holds the name of the image at its last change, which its pre_save() notes."""

    def pre_save(self, instance, add):
        name = instance.image.name or ""
        if name.rpartition("/")[2] != getattr(instance, self.attname):
            setattr(instance, self.attname, name.rpartition("/")[2])
        return getattr(instance, self.attname)


class Followed(Titled):
    seen = FollowingField(max_length=100, default="", editable=False)


class Liked(Titled):
    """A model to which other rows refer."""


class Like(models.Model):
    liked = models.ForeignKey(Liked, models.CASCADE)


class Tidy(Titled):
    """Removes its old file when it gets a new one."""

    def save(self, *args, **kwargs):
        if self.pk:
            before = type(self).objects.filter(pk=self.pk).first()
            if before and before.image and before.image != self.image:
                before.image.delete(save=False)
        super().save(*args, **kwargs)


class NamedByTitle(Titled):
    """Names its image after its title."""

    def save(self, *args, **kwargs):
        if self.image and not self.image._committed:
            self.image.name = f"{self.title}.jpg"
        super().save(*args, **kwargs)


class Converted(Titled):
    """Replaces the uploaded image."""

    def save(self, *args, **kwargs):
        if self.image and not self.image._committed:
            with Image.open(self.image) as image:
                file = io.BytesIO()
                image.save(file, "PNG")
            self.image = ContentFile(file.getvalue(), name="converted.png")
        super().save(*args, **kwargs)


class ConvertedAtOnce(Titled):
    """Replaces the uploaded image with the field's own save()."""

    def save(self, *args, **kwargs):
        if self.image and not self.image._committed:
            self.image.save("own.jpg", ContentFile(self.image.read()), save=False)
        super().save(*args, **kwargs)


class StoredInTwoSaves(Titled):
    """Is inserted without its image, which is then named after the key."""

    def save(self, *args, **kwargs):
        if self.pk is None:
            image, self.image = self.image, None
            super().save(*args, **kwargs)
            self.image = image
            kwargs.pop("force_insert", None)
        super().save(*args, **kwargs)


class Guarded(Titled):
    """Writes only changed columns."""

    def save(self, *args, **kwargs):
        if self.pk and not kwargs.get("update_fields"):
            row = type(self).objects.filter(pk=self.pk).values().get()
            kwargs["update_fields"] = [
                column.name
                for column in self._meta.concrete_fields
                if not column.primary_key and row[column.attname] != getattr(self, column.attname)
            ]
        super().save(*args, **kwargs)


class Unwilling(Titled):
    """Leaves out some of the fields that it should save."""

    def save(self, *args, **kwargs):
        if self.title != "draft":
            super().save(*args, **kwargs)


class Upserted(Titled):
    """Has a save() that returns a value and takes more arguments than Django's."""

    def save(self, *args, note="", **kwargs):
        super().save(*args, **kwargs)
        return self


class Sized(models.Model):
    """The dimensions of an image that a child has."""

    title = models.CharField(max_length=100)
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)


class Print(Sized):
    image = models.ImageField(upload_to="habits", width_field="width", height_field="height")
