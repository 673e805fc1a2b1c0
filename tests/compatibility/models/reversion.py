"""django-reversion: each request keeps a version of the instances that it has saved."""

import reversion
from django.db import models


@reversion.register()
class Revised(models.Model):
    title = models.CharField(max_length=100, blank=True)
    image = models.ImageField(upload_to="revised", blank=True)
