"""django-imagekit: an image that is processed before it is stored, and one with a rendition."""

from django.db import models
from imagekit.models import ImageSpecField, ProcessedImageField
from imagekit.processors import ResizeToFill

from tests.project.witness import witness


class Note:
    """A processor that notes its process and leaves the image as it is."""

    def process(self, image):
        witness().note("django-imagekit")
        return image


class Processed(models.Model):
    title = models.CharField(max_length=100, blank=True)
    image = ProcessedImageField(
        upload_to="processed",
        processors=[ResizeToFill(24, 16), Note()],
        format="PNG",
        blank=True,
        width_field="width",
        height_field="height",
    )
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)


class Specified(models.Model):
    title = models.CharField(max_length=100, blank=True)
    image = models.ImageField(upload_to="specified", blank=True)
    small = ImageSpecField(
        source="image",
        processors=[ResizeToFill(12, 8), Note()],
        format="JPEG",
        # Make the rendition when the image is saved, not when somebody asks for it.
        cachefile_strategy="imagekit.cachefiles.strategies.Optimistic",
    )
