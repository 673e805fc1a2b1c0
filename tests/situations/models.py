"""
The models of these tests.

They belong to the app of the test project, so their tables are made with its tables.
"""

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone, translation


class Titled(models.Model):
    title = models.CharField(max_length=100)
    image = models.ImageField(upload_to="situations", blank=True)

    class Meta:
        abstract = True
        app_label = "project"


class Validated(Titled):
    """Validates itself in save(). The image and its dimensions are required."""

    image = models.ImageField(upload_to="validated", width_field="width", height_field="height")
    width = models.PositiveIntegerField(editable=False)
    height = models.PositiveIntegerField(editable=False)

    def save(self, *args, **kwargs):
        self.full_clean()
        super().save(*args, **kwargs)


class ValidatedChild(Validated):
    """A child with a second required image in its own table."""

    cover = models.ImageField(upload_to="covers")


class Constrained(Titled):
    """The database refuses a title for an instance with an image."""

    class Meta(Titled.Meta):
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(title="Taken") | models.Q(image=""), name="constrained_title"
            ),
            models.UniqueConstraint(fields=["title", "image"], name="constrained_image"),
        ]

    def clean(self):
        if self.title == "Refused":
            raise ValidationError({"image": "No image goes with this title."})


class Numbered(models.Model):
    """Instances with one image have different numbers."""

    number = models.PositiveIntegerField()
    image = models.ImageField(upload_to="numbered")

    class Meta:
        app_label = "project"
        constraints = [
            models.UniqueConstraint(fields=["number", "image"], name="numbered_image"),
        ]


class BinaryKeyField(models.BinaryField):
    """Bytes of a fixed length, which MySQL takes for a key."""

    def db_type(self, connection):
        return "binary(4)" if connection.vendor == "mysql" else super().db_type(connection)


class Account(models.Model):
    key = BinaryKeyField(primary_key=True)

    class Meta:
        app_label = "project"


class Avatar(models.Model):
    """The primary key is a relation to a key of bytes."""

    account = models.OneToOneField(Account, models.CASCADE, primary_key=True)
    image = models.ImageField(upload_to="avatars", blank=True)

    class Meta:
        app_label = "project"


class Visible(models.Manager):
    def get_queryset(self):
        return super().get_queryset().filter(title="visible")


class Hidden(Titled):
    """Has no manager that Django uses and that finds all rows."""

    objects = Visible()
    everything = models.Manager()

    class Meta(Titled.Meta):
        base_manager_name = "objects"


class HiddenValidated(Hidden):
    """A child of a hidden row, which validates itself."""

    cover = models.ImageField(upload_to="covers")

    def save(self, *args, **kwargs):
        self.full_clean()
        super().save(*args, **kwargs)


def in_context(instance, filename):
    """Return a name with the active language and time zone."""
    return f"{translation.get_language()}/{timezone.get_current_timezone_name()}/{filename}"


class Localized(Titled):
    """Its name and a column depend on the context in which the image is saved."""

    image = models.ImageField(upload_to=in_context, blank=True)
    saved_in = models.CharField(max_length=20, editable=False)

    def save(self, *args, **kwargs):
        if self.image and not self.image._committed:
            self.saved_in = translation.get_language()
        super().save(*args, **kwargs)


class TwoImages(Titled):
    """A second image, in addition to the inherited one."""

    cover = models.ImageField(upload_to="covers", blank=True)


class WithDefault(Titled):
    """Every instance has an image, at first a placeholder."""

    image = models.ImageField(upload_to="situations", default="placeholder.png")


class Demanding(Titled):
    """Refuses a title in clean(), which save() calls."""

    image = models.ImageField(upload_to="demanding")

    def clean(self):
        if self.title == "refused":
            raise ValidationError("This title is refused.")

    def save(self, *args, **kwargs):
        self.full_clean()
        super().save(*args, **kwargs)


class Elevated(Titled):
    """Kept in the second database."""

    lives_elsewhere = True
