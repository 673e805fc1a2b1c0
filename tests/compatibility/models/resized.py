"""django-resized: an image that is shrunk before it is stored."""

from django.db import models
from django_resized import ResizedImageField
from django_resized.forms import ResizedImageFieldFile

from tests.project.witness import witness


class NotedFile(ResizedImageFieldFile):
    """Notes the process that resizes the image: the name is generated right after that."""

    def get_name(self, *args):
        witness().note("django-resized")
        return super().get_name(*args)


class NotedField(ResizedImageField):
    attr_class = NotedFile


class Resized(models.Model):
    title = models.CharField(max_length=100, blank=True)
    image = NotedField(
        size=[20, 20],
        crop=["middle", "center"],
        force_format="PNG",
        upload_to="resized",
        blank=True,
        width_field="width",
        height_field="height",
    )
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)
