"""django-simple-history: a record of each version of an instance."""

from django.db import models
from simple_history.models import HistoricalRecords


class Recorded(models.Model):
    title = models.CharField(max_length=100, blank=True)
    image = models.ImageField(upload_to="recorded", blank=True)
    # This app has no migrations, so its table is made before the table of the users.
    history = HistoricalRecords(user_db_constraint=False)
