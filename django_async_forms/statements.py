"""
The statements of every upload, every attempt and every claim, as SQL.

Building such a statement from a queryset takes about five times as long as to send it and to read
the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.db import DataError, connections
from django.db.models import Field, FileField, Model
from django.db.models.lookups import Exact

from .fields import image_columns

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


def insert(row: Model, using: str) -> None:
    """Insert a row, whose values are no expressions. Sends no signals."""
    connection, fields = connections[using], row._meta.concrete_fields
    quote: Any = connection.ops.quote_name
    values = [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {quote(row._meta.db_table)} ({_columns(type(row), quote)})"
            f" VALUES ({', '.join(['%s'] * len(values))})",
            values,
        )
    row._state.adding, row._state.db = False, using


def start(table: type[Model], using: str, row: Mapping[str, Any], **values: Any) -> Model | None:
    """
    Count one more of the ``attempts`` of a row, set ``values``, and return the row.

    Return None if there is no such row. MySQL and MariaDB do not have this statement.
    """
    connection = connections[using]
    quote: Any = connection.ops.quote_name
    where, parameters = _equals(table, connection, row)
    changes, changed = _equals(table, connection, values)
    attempts = quote("attempts")
    if connection.vendor == "postgresql" and connection.get_autocommit():
        # Do not wait for the disk, in this statement only. If the database crashes before the count
        # is there, it allows one attempt more. A later commit is never there without the count.
        where.append("set_config('synchronous_commit', 'off', true) = 'off'")
    return _load(
        table,
        using,
        f"UPDATE {quote(table._meta.db_table)} SET {attempts} = {attempts} + 1,"
        f" {', '.join(changes)} WHERE {' AND '.join(where)} RETURNING {_columns(table, quote)}",
        changed + parameters,
    )


def find(table: type[Model], using: str, row: Mapping[str, Any]) -> Model | None:
    """Return a row, or None if there is no such row. An open transaction locks it."""
    connection = connections[using]
    quote: Any = connection.ops.quote_name
    where, parameters = _equals(table, connection, row)
    lock, features = "", connection.features
    if connection.in_atomic_block and features.has_select_for_update:
        lock = connection.ops.for_update_sql(no_key=features.has_select_for_no_key_update)
    return _load(
        table,
        using,
        f"SELECT {_columns(table, quote)} FROM {quote(table._meta.db_table)}"
        f" WHERE {' AND '.join(where)} {lock}",
        parameters,
    )


def delete(table: type[Model], using: str, row: Mapping[str, Any]) -> bool:
    """Delete a row if it holds these values, and tell whether it did. Sends no signals."""
    connection = connections[using]
    where, parameters = _equals(table, connection, row)
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {connection.ops.quote_name(table._meta.db_table)}"
            f" WHERE {' AND '.join(where)}",
            parameters,
        )
        return bool(cursor.rowcount)


def swap(
    field: FileField, instance: Model, using: str, held: str, values: Mapping[str, Any]
) -> bool | None:
    """
    Write the columns of an image if its own column holds the name ``held``: compare and swap.

    Return whether it did, or None if only a queryset can write this: the "=" of MySQL may ignore
    case, and a field may have SQL of its own.
    """
    connection = connections[using]
    statement = _swap(field, instance, connection, held, values)
    if statement is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute(*statement)
        return bool(cursor.rowcount)


def swap_and_delete(
    field: FileField,
    instance: Model,
    using: str,
    held: str,
    values: Mapping[str, Any],
    *doomed: tuple[type[Model], Mapping[str, Any]],
) -> bool:
    """
    Swap an image and delete rows in one statement, outside a transaction: all of it or nothing.

    Each of ``doomed`` is a table and the values of its rows. Return False, having done nothing, if
    the column does not hold ``held``, if there is no row of the first table, or if the database is
    not PostgreSQL. The rows are locked in this order.
    """
    connection = connections[using]
    if connection.vendor != "postgresql" or connection.in_atomic_block:
        return False
    statement = _swap(field, instance, connection, held, values)
    if statement is None:
        return False
    sql, parameters = statement
    steps = [f"step0 AS ({sql} RETURNING 1)"]
    for number, (table, row) in enumerate(doomed):
        where, more = _equals(table, connection, row)
        parameters += more
        steps.append(
            f"step{number + 1} AS (DELETE FROM {connection.ops.quote_name(table._meta.db_table)}"
            f" WHERE {' AND '.join(where)} AND EXISTS (SELECT FROM step{number}) RETURNING 1)"
        )
    with connection.cursor() as cursor:
        try:
            # Dividing by zero undoes the swap. Nothing else ends a statement from within.
            cursor.execute(f"WITH {', '.join(steps)} SELECT 1 / count(*) FROM step1", parameters)
        except DataError:
            return False
    return True


def _swap(
    field: FileField,
    instance: Model,
    connection: BaseDatabaseWrapper,
    held: str,
    values: Mapping[str, Any],
) -> tuple[str, list[Any]] | None:
    table = field.model
    keys = table._meta.pk_fields
    columns = (*keys, *image_columns(field))
    if connection.vendor not in ("postgresql", "sqlite") or not all(map(_is_plain, columns)):
        return None
    quote: Any = connection.ops.quote_name
    key = {column.attname: column.value_from_object(instance) for column in keys}
    changes, changed = _equals(table, connection, values)
    where, parameters = _equals(table, connection, {**key, field.attname: held})
    if any(hasattr(value, "as_sql") for value in changed + parameters):
        return None
    if not held:
        where[-1] = f"({where[-1]} OR {quote(field.column)} IS NULL)"
    return (
        f"UPDATE {quote(table._meta.db_table)} SET {', '.join(changes)}"
        f" WHERE {' AND '.join(where)}",
        changed + parameters,
    )


def _is_plain(column: Field[Any, Any]) -> bool:
    """Tell whether Django itself writes and compares a column, with a value and nothing else."""
    lookup = column.get_lookup("exact")
    is_own = lookup is None or lookup.__module__ != Exact.__module__
    return not is_own and not hasattr(column, "get_placeholder")


def _equals(
    table: type[Model], connection: BaseDatabaseWrapper, values: Mapping[str, Any]
) -> tuple[list[str], list[Any]]:
    """Return "column = %s" for each value, by attribute name, and the values for the database."""
    quote: Any = connection.ops.quote_name
    columns = {column.attname: column for column in table._meta.concrete_fields}
    return (
        [f"{quote(columns[name].column)} = %s" for name in values],
        [columns[name].get_db_prep_save(value, connection) for name, value in values.items()],
    )


def _columns(table: type[Model], quote: Any) -> str:
    return ", ".join(quote(field.column) for field in table._meta.concrete_fields)


def _load(table: type[Model], using: str, sql: str, parameters: list[Any]) -> Model | None:
    """Return the row that a statement returns, as an instance."""
    connection, fields = connections[using], table._meta.concrete_fields
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        found = cursor.fetchone()
    if found is None:
        return None
    loaded = [_loaded(field, value, connection) for field, value in zip(fields, found, strict=True)]
    return table.from_db(using, [field.attname for field in fields], loaded)


def _loaded(field: Field[Any, Any], value: Any, connection: BaseDatabaseWrapper) -> Any:
    column = field.cached_col
    for convert in (
        *connection.ops.get_db_converters(column),
        *column.get_db_converters(connection),
    ):
        value = convert(value, column, connection)
    return value
