"""sorl-thumbnail: a field whose thumbnails are made when a page asks for them."""

from django.db import models
from sorl.thumbnail import ImageField


class Sorted(models.Model):
    title = models.CharField(max_length=100, blank=True)
    image = ImageField(upload_to="sorl", blank=True, width_field="width", height_field="height")
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)
