"""The database of a run: its own one on a server, behind a proxy, or a file of SQLite."""

import os
import re

from .errors import SettingsError
from .proxy import Proxy

#: Where Debian's PostgreSQL has its socket.
SOCKETS = "/var/run/postgresql"
LEVELS = ("read committed", "repeatable read", "serializable")
#: psycopg's number for the first of them. The others follow.
FIRST_LEVEL = 2
#: Ends all other connections to the database of the cursor.
TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


def server_of_the_tests(name):
    """Return the entry of DATABASES for a server that the tests use."""
    if name == "postgresql":
        return {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": os.environ.get("PGHOST", "127.0.0.1"),
            "PORT": os.environ.get("PGPORT", "5432"),
            "USER": os.environ.get("PGUSER", "postgres"),
            "PASSWORD": os.environ.get("PGPASSWORD", ""),
        }
    return {
        "ENGINE": "django.db.backends.mysql",
        "HOST": os.environ.get("MYSQL_HOST", "127.0.0.1"),
        "PORT": os.environ.get("MYSQL_PORT") or "3306",
        "USER": os.environ.get("MYSQL_USER", "root"),
        "PASSWORD": os.environ.get("MYSQL_PASSWORD", ""),
    }


def merged(entry, changes):
    """Return an entry of DATABASES with changes, of its OPTIONS too."""
    options = {**entry.get("OPTIONS", {}), **changes.get("OPTIONS", {})}
    return {**entry, **changes, "OPTIONS": options}


class Database:
    """
    The run's own database on a server that others may use, behind a proxy.

    ``entry`` is the entry of DATABASES with the server, ``name`` the name of the new database,
    ``host`` the address of the proxy, and ``isolation`` a level other than that of the entry.
    """

    #: Whether the run may tell the server to end connections.
    may_terminate = False

    def __init__(self, entry, name, host="127.0.0.1", isolation=None):
        self.entry = entry
        self.name = name
        self.vendor = _vendor(entry)
        self.proxy = Proxy(self._target(), host)
        self._isolation = isolation

    @property
    def isolation(self):
        """Return the name of the level of isolation."""
        options = self.entry.get("OPTIONS", {})
        level = self._isolation or options.get("isolation_level") or LEVELS[0]
        return level if isinstance(level, str) else LEVELS[int(level) - FIRST_LEVEL]

    def changes(self, through_proxy):
        """Return what differs from ``entry`` in the settings of a process."""
        changes, options = {"NAME": self.name}, {}
        if self._isolation:
            is_text = self.vendor == "mysql"
            number = FIRST_LEVEL + LEVELS.index(self._isolation)
            options["isolation_level"] = self._isolation if is_text else number
        if through_proxy:
            host = self.entry.get("HOST") or ""
            changes |= {"HOST": self.proxy.host, "PORT": str(self.proxy.port)}
            if self.vendor == "postgresql" and host and not host.startswith("/"):
                # A certificate has the name of the server, so only the address is another one.
                changes["HOST"], options["hostaddr"] = host, self.proxy.host
        return {**changes, "OPTIONS": options}

    def create(self):
        suffix = " CHARACTER SET utf8mb4" if self.vendor == "mysql" else ""
        self._execute(f"CREATE DATABASE {self.name}{suffix}")

    def drop(self):
        suffix = " WITH (FORCE)" if self.vendor == "postgresql" else ""
        self._execute(f"DROP DATABASE {self.name}{suffix}")

    def check_proxy(self):
        """Connect as the processes will do."""
        self._connect(merged(self.entry, self.changes(through_proxy=True))).close()

    def cut(self):
        """Cut all connections but this process's; return how many there were."""
        if not self.may_terminate:
            return self.proxy.cut()
        from django.db import connection

        with connection.cursor() as cursor:
            return self._terminate(cursor)

    def close(self):
        self.proxy.close()

    def _terminate(self, cursor):
        if self.vendor == "postgresql":
            cursor.execute(TERMINATE)
            return len(cursor.fetchall())
        cursor.execute(
            "SELECT id FROM information_schema.processlist"
            " WHERE db = DATABASE() AND id <> CONNECTION_ID()"
        )
        count = 0
        for (number,) in cursor.fetchall():
            try:
                cursor.execute(f"KILL {number}")
            except Exception as error:
                if "Unknown thread id" not in str(error):
                    raise
            else:
                count += 1
        return count

    def _target(self):
        host, port = self.entry.get("HOST") or "", self.entry.get("PORT")
        if self.vendor == "mysql":
            if host.startswith("/"):
                return host
            return ("127.0.0.1" if host in ("", "localhost") else host), int(port or 3306)
        if not host or host.startswith("/"):
            return f"{host or SOCKETS}/.s.PGSQL.{port or 5432}"
        return host, int(port or 5432)

    def _execute(self, statement):
        standing = "postgres" if self.vendor == "postgresql" else ""
        connection = self._connect(merged(self.entry, {"NAME": self.entry.get("NAME") or standing}))
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
        except Exception as error:
            raise SettingsError(f'DATABASES["default"]: {statement}: {_line(error)}') from error
        finally:
            connection.close()

    def _connect(self, entry):
        from django.db.utils import ConnectionHandler

        # A pool would keep its connections open.
        options = {key: value for key, value in entry["OPTIONS"].items() if key != "pool"}
        connection = ConnectionHandler({"default": {**entry, "OPTIONS": options}})["default"]
        try:
            connection.connect()
        except Exception as error:
            place = f"{entry.get('HOST') or 'a socket'} {entry.get('PORT') or ''}".strip()
            raise SettingsError(
                f'DATABASES["default"] cannot be used at {place}: {_line(error)}'
            ) from error
        return connection


class DatabaseOfTheTests(Database):
    """The run's own database on a server that only tests use."""

    may_terminate = True


class DatabaseFile:
    """The run's own SQLite database, a file in ``folder``. It has no server, so no proxy."""

    vendor = "sqlite"
    #: SQLite has one level.
    isolation = None
    proxy = None

    def __init__(self, folder):
        self.entry = {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(folder / "db.sqlite3"),
            # As the documentation advises. The default of synchronous is FULL.
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL",
            },
        }

    def changes(self, through_proxy):
        return {}

    def create(self):
        """Do nothing: the first connection makes the file, and it goes with the run's folder."""

    drop = check_proxy = close = create


def _vendor(entry):
    """Return the vendor of an entry's backend, or refuse it."""
    from django.db.utils import load_backend

    engine = entry.get("ENGINE", "")
    try:
        vendor = load_backend(engine).DatabaseWrapper.vendor
    except Exception as error:
        raise SettingsError(
            f'DATABASES["default"]["ENGINE"] is {engine!r}: {_line(error)}'
        ) from error
    if vendor not in ("postgresql", "mysql"):
        raise SettingsError(
            f'DATABASES["default"]["ENGINE"] is {engine!r}. A run needs a server: PostgreSQL, '
            "MariaDB or MySQL."
        )
    if "," in (entry.get("HOST") or ""):
        raise SettingsError(
            f'DATABASES["default"]["HOST"] is {entry["HOST"]!r}. Name one server, which a proxy '
            "can stand before."
        )
    for name in ("service", "unix_socket", "read_default_file"):
        if name in entry.get("OPTIONS", {}):
            raise SettingsError(
                f'DATABASES["default"]["OPTIONS"] has {name!r}, which names the server. Name it '
                "with HOST and PORT, so that a proxy can stand before it."
            )
    return vendor


def _line(error):
    return re.sub(r"\s+", " ", str(error)).strip() or repr(error)
