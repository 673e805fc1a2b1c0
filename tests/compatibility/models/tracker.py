"""django-model-utils tells what has changed since an instance was loaded."""

from django.db import models
from django.db.models.signals import post_save
from django.dispatch import receiver
from model_utils import FieldTracker
from model_utils.fields import MonitorField
from model_utils.models import TimeStampedModel


class Tracked(models.Model):
    title = models.CharField(max_length=100, blank=True)
    image = models.ImageField(upload_to="tracked", blank=True)
    tracker = FieldTracker()

    #: The old and the new name of each change that a receiver of post_save has seen.
    seen = []


class Stamped(TimeStampedModel):
    """Has the library's save(), which adds a column to update_fields."""

    title = models.CharField(max_length=100, blank=True)
    image = models.ImageField(upload_to="stamped", blank=True)


@receiver(post_save, sender=Tracked)
def look(instance, **kwargs):
    if instance.tracker.has_changed("image"):
        old = instance.tracker.previous("image")
        Tracked.seen.append((old.name if old else "", instance.image.name))


class Monitored(models.Model):
    """Notes when its image was changed."""

    title = models.CharField(max_length=100, blank=True)
    image = models.ImageField(upload_to="monitored", blank=True)
    image_changed = MonitorField(monitor="image", default=None, null=True)
    published_changed = MonitorField(monitor="title", when=["published"], default=None, null=True)
