"""The databases and brokers of a run: its own servers to stop, or its own names on others."""

import os
import socket
import uuid
from urllib.parse import urlsplit

from kombu import Connection

from tests.services import BROKERS, is_listening

from .processes import Process
from .proxy import Proxy


def free_port():
    """Return a free port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class PostgreSQL:
    """The run's own database on the server."""

    def __init__(self):
        self.name = f"faults_{uuid.uuid4().hex[:12]}"
        self._server = {
            "host": os.environ.get("PGHOST", "127.0.0.1"),
            "user": os.environ.get("PGUSER", "postgres"),
        }
        self._do(f"CREATE DATABASE {self.name}")

    #: By the numbers of psycopg.
    LEVELS = {"read committed": 2, "repeatable read": 3, "serializable": 4}

    def settings(self, isolation):
        """Return the entry for DATABASES."""
        return {
            "OPTIONS": {"isolation_level": self.LEVELS[isolation]},
            "ENGINE": "django.db.backends.postgresql",
            "HOST": self._server["host"],
            "USER": self._server["user"],
            "NAME": self.name,
        }

    #: Ends all other connections to the database.
    CUT = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    def cut(self, cursor):
        """Cut all connections but the cursor's; return how many there were."""
        cursor.execute(self.CUT)
        return len(cursor.fetchall())

    def drop(self):
        self._do(f"DROP DATABASE {self.name} WITH (FORCE)")

    def _do(self, statement):
        import psycopg

        with psycopg.connect(dbname="postgres", autocommit=True, **self._server) as connection:
            connection.execute(statement)


class MariaDB:
    """The run's own database on the server."""

    def __init__(self):
        self.name = f"faults_{uuid.uuid4().hex[:12]}"
        self._server = {
            "host": os.environ.get("MYSQL_HOST", "127.0.0.1"),
            "port": int(os.environ.get("MYSQL_PORT") or 3306),
            "user": os.environ.get("MYSQL_USER", "root"),
            "password": os.environ.get("MYSQL_PASSWORD", ""),
        }
        self._do(f"CREATE DATABASE {self.name} CHARACTER SET utf8mb4")

    def settings(self, isolation):
        """Return the entry for DATABASES."""
        return {
            "OPTIONS": {"isolation_level": isolation},
            "ENGINE": "django.db.backends.mysql",
            "NAME": self.name,
            **{key.upper(): value for key, value in self._server.items()},
        }

    def cut(self, cursor):
        """Cut all connections but the cursor's; return how many there were."""
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

    def drop(self):
        self._do(f"DROP DATABASE {self.name}")

    def _do(self, statement):
        import MySQLdb

        connection = MySQLdb.connect(**self._server)
        try:
            connection.cursor().execute(statement)
        finally:
            connection.close()


class Redis:
    """The run's own server behind a proxy, with its data in a folder."""

    def __init__(self, folder):
        self._folder = folder / "redis"
        self._folder.mkdir()
        self._port = free_port()
        self._start()
        self.proxy = Proxy(self._port)
        self.queue = "faults"
        self.url = f"redis://127.0.0.1:{self.proxy.port}/0"

    def _start(self):
        command = ["redis-server", "--port", str(self._port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self._folder), "--appendonly", "yes", "--save", ""]
        self._process = Process("redis", command, self._folder / "log")
        self._process.wait_for(lambda: is_listening("127.0.0.1", self._port), "Redis listens")

    def stop(self):
        """Stop the server as a crash does."""
        self._process.kill()

    def start(self):
        """Start the server again, with its data on the disk."""
        self._start()

    def empty(self):
        """FLUSHALL."""
        from redis import Redis as Client

        with Client(port=self._port) as client:
            client.flushall()

    def remove(self):
        self.proxy.close()
        self._process.kill()


class RabbitMQ:
    """The run's own queue on a shared server, behind a proxy that is stopped instead."""

    def __init__(self, folder):
        self._url = BROKERS["rabbitmq"]
        self.proxy = Proxy(urlsplit(self._url).port or 5672)
        self.queue = f"faults_{uuid.uuid4().hex[:12]}"
        self.url = f"amqp://guest:guest@127.0.0.1:{self.proxy.port}//"

    def stop(self):
        """Stop the proxy. For its clients, the server stops."""
        self.proxy.refuse()

    def start(self):
        """Start the proxy again. The queue is durable."""
        self.proxy.accept()

    def empty(self):
        """Purge the queue. Workers keep the messages that they have reserved."""
        with Connection(self._url) as connection:
            connection.default_channel.queue_purge(self.queue)

    def remove(self):
        self.proxy.close()
        with Connection(self._url) as connection:
            connection.default_channel.queue_delete(self.queue)
            connection.default_channel.exchange_delete(self.queue)


DATABASES = {"postgresql": PostgreSQL, "mariadb": MariaDB}
BROKERS_OF_OURS = {"redis": Redis, "rabbitmq": RabbitMQ}
