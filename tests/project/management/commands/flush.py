"""
``flush``, with which Django empties the tables after each test that commits.

Django empties all of them, and then makes the content types and permissions again. That took more
than half of the time of all tests. This command empties the tables that have rows, and keeps the
content types and permissions: no test changes them.
"""

from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management.base import BaseCommand
from django.db import connections, transaction

KEPT = {model._meta.db_table for model in (ContentType, Permission)}
#: SQLite joins at most 500 queries.
AT_ONCE = 400


class Command(BaseCommand):
    help = __doc__
    stealth_options = (
        "interactive",
        "database",
        "reset_sequences",
        "allow_cascade",
        "inhibit_post_migrate",
    )

    def handle(self, *, database, **options):
        connection = connections[database]
        tables = connection.introspection.django_table_names(only_existing=True)
        with (
            transaction.atomic(using=database),
            connection.constraint_checks_disabled(),
            connection.cursor() as cursor,
        ):
            for table in _with_rows(cursor, sorted(set(tables) - KEPT)):
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")


def _with_rows(cursor, tables):
    """Return the tables that have rows, all in one query, as the round trips took most of it."""
    quote = cursor.db.ops.quote_name
    found = []
    for start in range(0, len(tables), AT_ONCE):
        cursor.execute(
            " UNION ALL ".join(
                f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {quote(table)})"
                for table in tables[start : start + AT_ONCE]
            )
        )
        found += [table for (table,) in cursor.fetchall()]
    return found
