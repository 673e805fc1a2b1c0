import uuid

import django.utils.timezone
from django.db import migrations, models

import django_async_forms.models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="StoredChunk",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", django_async_forms.models.BinaryCollationCharField(max_length=255)),
                ("position", models.BigIntegerField()),
                ("data", models.BinaryField()),
                ("saved_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("name", "position"), name="async_forms_chunk")
                ],
            },
        ),
        migrations.CreateModel(
            name="Upload",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("model", models.CharField(max_length=201, verbose_name="model")),
                (
                    "object_pk",
                    django_async_forms.models.BinaryCollationCharField(
                        max_length=255, verbose_name="primary key"
                    ),
                ),
                ("field_name", models.CharField(max_length=100, verbose_name="field")),
                ("name", models.TextField(verbose_name="file name")),
                ("file", models.JSONField(verbose_name="file")),
                ("width", models.PositiveIntegerField(null=True, verbose_name="width")),
                ("height", models.PositiveIntegerField(null=True, verbose_name="height")),
                ("staged", models.CharField(max_length=255, verbose_name="staged as")),
                (
                    "state",
                    models.CharField(
                        choices=[("pending", "pending"), ("failed", "failed")],
                        default="pending",
                        max_length=7,
                        verbose_name="state",
                    ),
                ),
                ("attempts", models.PositiveIntegerField(default=0, verbose_name="attempts")),
                ("error", models.TextField(blank=True, verbose_name="last error")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="created"),
                ),
                (
                    "sent_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, verbose_name="last sent"
                    ),
                ),
                ("due_at", models.DateTimeField(verbose_name="due")),
            ],
            options={
                "verbose_name": "upload",
                "verbose_name_plural": "uploads",
                "indexes": [
                    models.Index(
                        fields=["object_pk", "model", "field_name"], name="async_forms_target"
                    ),
                    models.Index(fields=["state", "due_at"], name="async_forms_due"),
                ],
            },
        ),
    ]
