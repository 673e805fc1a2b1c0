"""django-pictures: an image with pictures in other sizes and formats."""

from django.db import models
from pictures.models import PictureField
from pictures.tasks import _process_picture

from tests.project.witness import witness


def process_immediately(*picture, **named):
    """A processor for PICTURES["PROCESSOR"] that works immediately and not in another task."""
    witness().note("django-pictures")
    _process_picture(*picture, **named)


class Pictured(models.Model):
    title = models.CharField(max_length=100, blank=True)
    image = PictureField(
        upload_to="pictured",
        aspect_ratios=[None, "1/1"],
        file_types=["WEBP"],
        container_width=40,
        grid_columns=2,
        pixel_densities=[1],
        breakpoints={"s": 40},
        blank=True,
        width_field="width",
        height_field="height",
    )
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)
