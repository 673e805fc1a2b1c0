"""The table of a tenant's photos."""

from django.db import migrations, models

import tests.compatibility.tenants.photos.models


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel(
            name="Photo",
            fields=[
                ("id", models.BigAutoField(primary_key=True)),
                ("title", models.CharField(max_length=100)),
                (
                    "image",
                    models.ImageField(
                        blank=True, upload_to=tests.compatibility.tenants.photos.models.by_schema
                    ),
                ),
            ],
        ),
    ]
