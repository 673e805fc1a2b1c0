"""django-versatileimagefield: an image with its point of interest in a column beside it."""

from django.db import models
from django.db.models.signals import post_save
from django.dispatch import receiver
from versatileimagefield.fields import PPOIField, VersatileImageField
from versatileimagefield.image_warmer import VersatileImageFieldWarmer

from tests.project.witness import witness


class Versatile(models.Model):
    title = models.CharField(max_length=100, blank=True)
    image = VersatileImageField(
        upload_to="versatile",
        ppoi_field="ppoi",
        blank=True,
        width_field="width",
        height_field="height",
    )
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)
    ppoi = PPOIField()


@receiver(post_save, sender=Versatile)
def warm(instance, **kwargs):
    """Make the renditions immediately, as the library's documentation shows."""
    if instance.image and instance.image.storage.exists(instance.image.name):
        witness().note("django-versatileimagefield")
        VersatileImageFieldWarmer(
            instance_or_queryset=instance,
            rendition_key_set=[("small", "crop__16x12")],
            image_attr="image",
        ).warm()
