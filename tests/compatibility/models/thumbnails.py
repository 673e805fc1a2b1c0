"""easy-thumbnails: an image that is shrunk, with thumbnails that are made when it is saved."""

from django.db import models
from django.dispatch import receiver
from easy_thumbnails.fields import ThumbnailerImageField
from easy_thumbnails.signals import saved_file

from django_async_forms.signals import image_saved
from tests.project.witness import witness


class Thumbnailed(models.Model):
    title = models.CharField(max_length=100, blank=True)
    image = ThumbnailerImageField(
        upload_to="thumbnailed",
        resize_source={"size": (24, 24), "quality": 80},
        blank=True,
        width_field="width",
        height_field="height",
    )
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)


def make_thumbnail(image):
    witness().note("easy-thumbnails")
    image.get_thumbnail({"size": (10, 10), "crop": True})


@receiver(saved_file, sender=Thumbnailed)
def after_a_save_in_the_request(fieldfile, **kwargs):
    make_thumbnail(fieldfile)


@receiver(image_saved, sender=Thumbnailed)
def after_a_save_in_a_worker(instance, field_name, **kwargs):
    """The library does not send saved_file for a save() with update_fields."""
    make_thumbnail(getattr(instance, field_name))
