from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def store_uncompressed(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    # An image is compressed already, but its head misleads PostgreSQL into trying: that took half
    # of the time of an upload of 1 MB. https://www.postgresql.org/docs/current/storage-toast.html
    if schema_editor.connection.vendor == "postgresql":
        table = apps.get_model("django_async_forms", "StoredChunk")._meta.db_table
        name = schema_editor.quote_name(table)
        schema_editor.execute(f"ALTER TABLE {name} ALTER COLUMN data SET STORAGE EXTERNAL")


class Migration(migrations.Migration):
    dependencies = [("django_async_forms", "0001_initial")]

    operations = [
        migrations.RunPython(
            store_uncompressed, migrations.RunPython.noop, hints={"model_name": "storedchunk"}
        )
    ]
