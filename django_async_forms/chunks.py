"""Writes and reads the rows of ``DatabaseStorage``, in binary where the driver can."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from django.core.files.base import File
from django.db import connections
from django.utils import timezone

from .isolation import committed, reads_snapshot

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

#: Bytes in a row: far below max_allowed_packet (16 MiB by default on MariaDB), and large enough
#: to make the cost of a row negligible.
CHUNK_SIZE = 256 * 1024


def write_chunks(using: str, table: str, name: str, content: File[Any], offset: int = 0) -> None:
    """
    Insert the rows of a new file, or those from ``offset`` on, in the caller's transaction.

    Raises ``IntegrityError`` if one of these rows exists.
    """
    connection = connections[using]
    saved_at = connection.ops.adapt_datetimefield_value(timezone.now())
    binary = "_binary %s" if connection.vendor == "mysql" else "%s"
    if _speaks_psycopg3(connection):
        binary = "%b"
    statement = (
        f"INSERT INTO {connection.ops.quote_name(table)} (name, position, data, saved_at)"
        f" VALUES (%s, %s, {binary}, %s)"
    )
    with _cursor(connection) as cursor:
        for position, data in _pieces(content):
            cursor.execute(statement, (name, offset + position, data, saved_at))


def delete_chunks(using: str, table: str, name: str, offset: int = 0) -> None:
    """Delete the rows of a file from ``offset`` on, without loading them for signals."""
    connection = connections[using]
    table = connection.ops.quote_name(table)
    if connection.vendor == "mysql":
        # A DELETE of a range waits for the rows beside it too, and locks the gaps there above READ
        # COMMITTED. So neighbours would deadlock.
        statement = f"DELETE FROM {table} WHERE id = %s"
        rows = _keys(connection, table, name, offset)
    else:
        statement = f"DELETE FROM {table} WHERE name = %s AND position >= %s"
        rows = {(name, offset)}
    with _cursor(connection) as cursor:
        for row in rows:
            cursor.execute(statement, row)


def _keys(
    connection: BaseDatabaseWrapper, table: str, name: str, offset: int
) -> set[tuple[Any, ...]]:
    """Return the keys of a file's rows, also of those that are not in the snapshot."""
    statement = f"SELECT id FROM {table} WHERE name = %s AND position >= %s"
    with _cursor(connection) as cursor:
        cursor.execute(statement, (name, offset))
        rows: set[tuple[Any, ...]] = set(cursor.fetchall())
    if connection.in_atomic_block and reads_snapshot(connection):
        rows.update(committed(connection, statement, (name, offset)))
    return rows


class ChunkReader(io.BufferedReader):
    """
    The bytes of one file. It keeps the current row, so sequential reads fetch each row once.

    Raises ``FileNotFoundError`` if there is no such file.
    """

    def __init__(self, using: str, table: str, name: str) -> None:
        rows = _Rows(using, table, name)
        super().__init__(rows)
        self._size = rows.size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read ``size`` bytes, or up to the end."""
        if size is None or size < 0:
            # Without a size, BufferedReader joins pieces, which takes twice the memory.
            size = max(self._size - self.tell(), 0)
        return super().read(size)


class _Rows(io.RawIOBase):
    """The rows of one file, below the buffer of a ``ChunkReader``."""

    def __init__(self, using: str, table: str, name: str) -> None:
        self._using = using
        self._table = table
        self._name = name
        self._position = 0
        #: The row that was fetched last, and the position of its first byte.
        self._first, self._data = 0, b""
        # The size comes with the first row: most files have no other.
        table = connections[using].ops.quote_name(table)
        first = self._query(
            "SELECT data, (SELECT position + length(data)"
            f" FROM {table} AS last WHERE last.name = first.name ORDER BY position DESC LIMIT 1)"
            f" FROM {table} AS first WHERE name = %s AND position = %s",
            (name, 0),
        )
        if first is None:
            raise FileNotFoundError(f"DatabaseStorage has no file {name!r}.")
        self._data, self.size = first

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise ValueError(f"Cannot seek to {start + offset} in {self._name!r}.")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        if self._position >= self.size:
            return 0
        if not self._first <= self._position < self._first + len(self._data):
            self._fetch()
        skipped = self._position - self._first
        piece = memoryview(self._data).cast("B")[skipped : skipped + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def close(self) -> None:
        self._data = b""
        super().close()

    def _fetch(self) -> None:
        """Fetch the row that holds the current position."""
        self._data = b""  # Only one row is ever in memory.
        table = connections[self._using].ops.quote_name(self._table)
        row = self._query(
            f"SELECT position, data FROM {table}"
            " WHERE name = %s AND position <= %s ORDER BY position DESC LIMIT 1",
            (self._name, self._position),
        )
        if row is None or row[0] + len(row[1]) <= self._position:
            raise FileNotFoundError(f"DatabaseStorage lost {self._name!r} while it was read.")
        self._first, self._data = row

    def _query(self, statement: str, parameters: tuple[Any, ...]) -> tuple[Any, Any] | None:
        connection = connections[self._using]
        options = {"binary": True} if _speaks_psycopg3(connection) else {}
        with _cursor(connection) as cursor:
            cursor.execute(statement, parameters, **options)
            row: tuple[Any, Any] | None = cursor.fetchone()
        return row


@contextmanager
def _cursor(connection: BaseDatabaseWrapper) -> Iterator[Any]:
    """
    Open a cursor that keeps no copy of its parameters, as Django's does with ``DEBUG``.

    Django's psycopg cursor sends and receives bytea as escaped text, which is twice as long and
    must be parsed. Binary parameters and results are three times as fast (docs/design.rst).
    """
    connection.ensure_connection()
    if _speaks_psycopg3(connection):
        from psycopg import Cursor

        cursor: Any = Cursor(connection.connection)
    else:
        cursor = connection.create_cursor()
    with connection.wrap_database_errors, closing(cursor):
        yield cursor


def _speaks_psycopg3(connection: BaseDatabaseWrapper) -> bool:
    if connection.vendor != "postgresql":
        return False
    from django.db.backends.postgresql.psycopg_any import is_psycopg3

    return bool(is_psycopg3)


def _pieces(content: File[Any]) -> Iterator[tuple[int, bytes]]:
    """Yield (position, data) for each row of ``content``. An empty file has one empty row."""
    position = 0
    row = bytearray()
    # Not every content accepts a size for chunks(), so chunks have any length: 64 KiB from a file
    # on the disk, and the whole content from an InMemoryUploadedFile.
    for chunk in content.chunks():
        data = memoryview(chunk.encode() if isinstance(chunk, str) else chunk)
        while data:
            taken = data[: CHUNK_SIZE - len(row)]
            row += taken
            data = data[len(taken) :]
            if len(row) == CHUNK_SIZE:
                yield position, bytes(row)
                position += len(row)
                row.clear()
    if row or position == 0:
        yield position, bytes(row)
