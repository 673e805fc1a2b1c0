import uuid

import django.utils.timezone
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

import django_async_forms.columns
import django_async_forms.draft_model
import django_async_forms.models


def store_uncompressed(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    # An image is compressed already, but its first bytes mislead PostgreSQL into trying, which took
    # half the time of a 1 MB upload. https://www.postgresql.org/docs/current/storage-toast.html
    if schema_editor.connection.vendor == "postgresql":
        table = apps.get_model("django_async_forms", "StoredChunk")._meta.db_table
        name = schema_editor.quote_name(table)
        schema_editor.execute(f"ALTER TABLE {name} ALTER COLUMN data SET STORAGE EXTERNAL")


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="AbandonedName",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                (
                    "abandoned_at",
                    models.DateTimeField(db_index=True, default=django.utils.timezone.now),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Draft",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("purpose", models.CharField(max_length=302)),
                ("field", models.JSONField(default=list)),
                ("sender", models.CharField(max_length=64)),
                (
                    "user",
                    django_async_forms.columns.BinaryCollationCharField(blank=True, max_length=255),
                ),
                ("name", django_async_forms.columns.BinaryCollationTextField()),
                (
                    "content_type",
                    django_async_forms.columns.BinaryCollationTextField(blank=True),
                ),
                ("size", models.BigIntegerField()),
                ("received", models.BigIntegerField(default=0)),
                ("staged", models.CharField(max_length=255)),
                ("is_checked", models.BooleanField(default=False)),
                ("is_image", models.BooleanField(default=False)),
                ("is_hidden", models.BooleanField(default=False)),
                ("format", models.CharField(blank=True, max_length=32)),
                ("width", models.PositiveIntegerField(null=True)),
                ("height", models.PositiveIntegerField(null=True)),
                ("sha256", models.CharField(blank=True, max_length=64)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("expires_at", models.DateTimeField(default=django_async_forms.draft_model.expiry)),
            ],
            options={
                "verbose_name": "draft",
                "verbose_name_plural": "drafts",
                "indexes": [
                    models.Index(fields=["sender", "size"], name="async_forms_draft_sender"),
                    models.Index(fields=["expires_at"], name="async_forms_draft_expires"),
                ],
            },
        ),
        migrations.CreateModel(
            name="StoredChunk",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", django_async_forms.columns.BinaryCollationCharField(max_length=255)),
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
                    django_async_forms.columns.BinaryCollationCharField(
                        max_length=255, verbose_name="primary key"
                    ),
                ),
                ("field_name", models.CharField(max_length=100, verbose_name="field")),
                (
                    "name",
                    django_async_forms.columns.BinaryCollationTextField(verbose_name="file name"),
                ),
                ("file", models.JSONField(verbose_name="file")),
                (
                    "held",
                    django_async_forms.columns.BinaryCollationTextField(
                        blank=True, default="", verbose_name="replaces"
                    ),
                ),
                ("context", models.JSONField(blank=True, default=dict, verbose_name="context")),
                ("width", models.PositiveIntegerField(null=True, verbose_name="width")),
                ("height", models.PositiveIntegerField(null=True, verbose_name="height")),
                ("staged", models.CharField(max_length=255, verbose_name="staged as")),
                (
                    "sha256",
                    models.CharField(blank=True, default="", editable=False, max_length=64),
                ),
                (
                    "sender",
                    models.CharField(blank=True, default="", editable=False, max_length=64),
                ),
                (
                    "reserved",
                    models.CharField(editable=False, max_length=64, null=True, unique=True),
                ),
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
                (
                    "error",
                    django_async_forms.columns.BinaryCollationTextField(
                        blank=True, verbose_name="last error"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="created"),
                ),
                (
                    "pending_since",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "sent_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, verbose_name="last sent"
                    ),
                ),
                (
                    "due_at",
                    models.DateTimeField(
                        default=django_async_forms.models.first_due_at, verbose_name="due"
                    ),
                ),
            ],
            options={
                "verbose_name": "upload",
                "verbose_name_plural": "uploads",
                "indexes": [
                    models.Index(
                        fields=["object_pk", "model", "field_name"], name="async_forms_target"
                    ),
                    models.Index(fields=["state", "due_at"], name="async_forms_due"),
                    models.Index(fields=["created_at"], name="async_forms_created"),
                ],
            },
        ),
        migrations.RunPython(
            store_uncompressed, migrations.RunPython.noop, hints={"model_name": "storedchunk"}
        ),
    ]
