"""The photos of the example."""

from django.db import models
from django.urls import reverse
from django.utils.functional import cached_property

from django_async_forms.models import Upload


class Photo(models.Model):
    """A photograph, and perhaps a second one that shows a part of it."""

    title = models.CharField(max_length=100)
    image = models.ImageField(upload_to="photos", width_field="width", height_field="height")
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)
    detail = models.ImageField("close-up", upload_to="details", blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self):
        return self.title

    def get_absolute_url(self):
        return reverse("photo", args=[self.pk])

    @cached_property
    def owed(self):
        """The uploads that the worker has not saved yet, by the name of their field."""
        return {upload.field_name: upload for upload in Upload.objects.for_instance(self)}

    @property
    def is_being_saved(self):
        return any(upload.state == Upload.State.PENDING for upload in self.owed.values())
