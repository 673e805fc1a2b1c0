"""
What a transaction at an isolation level above READ COMMITTED does not see.

At these levels, it reads a snapshot: the rows as they were when it read first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


def reads_snapshot(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether plain reads in a transaction miss rows committed since its first read."""
    level = getattr(connection, "isolation_level", "")
    if connection.vendor == "mysql":
        # None is the server's default, which is REPEATABLE READ unless it was changed.
        return level in ("repeatable read", None)
    return getattr(level, "name", "") in ("REPEATABLE_READ", "SERIALIZABLE")


def committed(
    connection: BaseDatabaseWrapper, statement: str, parameters: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """Return the rows that a query finds on a separate connection, which locks nothing."""
    path = _search_path(connection)
    own_connection: Any = connection.copy()
    try:
        with own_connection.cursor() as cursor:
            if path:
                cursor.execute("SELECT set_config('search_path', %s, false)", [path])
            cursor.execute(statement, parameters)
            found: list[tuple[Any, ...]] = cursor.fetchall()
    finally:
        own_connection.close()
    return found


def _search_path(connection: BaseDatabaseWrapper) -> str:
    """Return the search path of a PostgreSQL connection, which a copy of it may not have."""
    if connection.vendor != "postgresql":
        return ""
    with connection.cursor() as cursor:
        cursor.execute("SHOW search_path")
        return str(cursor.fetchone()[0])
