"""django-reversion keeps a version of each instance that a request has saved."""

import reversion
from django.db import models


@reversion.register()
class Revised(models.Model):
    title = models.CharField(max_length=100, blank=True)
    image = models.ImageField(upload_to="revised", blank=True)
