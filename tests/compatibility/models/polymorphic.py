"""django-polymorphic: the queryset of a parent returns instances of its children."""

from django.contrib.contenttypes.models import ContentType
from django.db import models
from polymorphic.models import PolymorphicModel


class Work(PolymorphicModel):
    # No constraint: this app has no migrations, so its tables are made before that one.
    polymorphic_ctype = models.ForeignKey(
        ContentType,
        models.CASCADE,
        null=True,
        editable=False,
        db_constraint=False,
        related_name="+",
    )
    title = models.CharField(max_length=100, blank=True)
    image = models.ImageField(
        upload_to="works", blank=True, width_field="width", height_field="height"
    )
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)


class Painting(Work):
    frame = models.ImageField(upload_to="frames", blank=True)


class Drawing(Work):
    paper = models.CharField(max_length=100, blank=True)
