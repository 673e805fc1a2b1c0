"""django-dirtyfields tells which columns of an instance differ from its row."""

from dirtyfields import DirtyFieldsMixin
from django.db import models
from django.db.models.signals import pre_save
from django.dispatch import receiver


class Watched(DirtyFieldsMixin, models.Model):
    title = models.CharField(max_length=100, blank=True)
    image = models.ImageField(upload_to="watched", blank=True)

    #: The dirty fields that a receiver of pre_save has found, call by call.
    seen = []


@receiver(pre_save, sender=Watched)
def look(instance, **kwargs):
    Watched.seen.append(instance.get_dirty_fields())
