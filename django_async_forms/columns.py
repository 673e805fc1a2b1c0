"""Text columns that hold all of Unicode and compare byte by byte, on each database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    _CharField = models.CharField[str, str]
    _TextField = models.TextField[str, str]
else:
    _CharField = models.CharField
    _TextField = models.TextField


def _in_binary_collation(column: str | None, connection: BaseDatabaseWrapper) -> str | None:
    """
    Make a column of MySQL hold all of Unicode and compare byte by byte.

    A database with utf8mb3 refuses an emoji, and MySQL's default collations ignore case.
    """
    if connection.vendor != "mysql":
        return column
    # The plain utf8mb4_bin ignores spaces at the end.
    is_mariadb = connection.mysql_is_mariadb  # type: ignore[attr-defined]
    collation = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
    return f"{column} CHARACTER SET utf8mb4 COLLATE {collation}"


class BinaryCollationCharField(_CharField):
    """Text that MySQL, too, compares byte by byte. By default it ignores case."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        return _in_binary_collation(super().db_type(connection), connection)


class BinaryCollationTextField(_TextField):
    """Text of any length and any character that MySQL, too, compares byte by byte."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        return _in_binary_collation(super().db_type(connection), connection)
