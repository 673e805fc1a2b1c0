"""A photo of a tenant's."""

from django.db import connection, models


def by_schema(instance, filename):
    return f"{connection.schema_name}/{filename}"


class Photo(models.Model):
    title = models.CharField(max_length=100)
    image = models.ImageField(upload_to=by_schema, blank=True)
