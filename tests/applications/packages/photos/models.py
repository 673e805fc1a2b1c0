"""A photo, and one with a translated title."""

from django.db import models
from parler.models import TranslatableModel, TranslatedFields


class Photo(models.Model):
    title = models.CharField(max_length=100)
    image = models.ImageField(upload_to="photos", blank=True)


class TranslatedPhoto(TranslatableModel):
    image = models.ImageField(upload_to="translated")
    translations = TranslatedFields(title=models.CharField(max_length=100))
