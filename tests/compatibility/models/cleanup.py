"""django-cleanup removes files that no instance refers to."""

from django.db import models
from django_cleanup import cleanup


@cleanup.select
class Cleaned(models.Model):
    title = models.CharField(max_length=100, blank=True)
    image = models.ImageField(upload_to="cleaned", blank=True)
