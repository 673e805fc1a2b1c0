"""
The database servers and message brokers of the tests: which are available, and where.

``python -m tests.services NAME`` tells whether one can be used. It exits with 0, or prints the
reason and exits with 1 (the server is missing) or 2 (its driver is missing).
"""

import json
import os
import shutil
import socket
import sys
import tempfile
import uuid
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from kombu import Connection
from redis import Redis

#: Set by ``tests/run --require-services``: a missing service is then a failure, not a skip.
REQUIRED = "TEST_REQUIRE_SERVICES" in os.environ

#: The brokers of the tests. The environment may name other addresses.
BROKERS = {
    "filesystem": "filesystem://",
    "redis": os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/15"),
    "rabbitmq": os.environ.get("TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//"),
}


def is_listening(host, port):
    """Tell whether anything accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def why_not(name):
    """Return why the tests cannot use a broker, or None if they can."""
    url = urlsplit(BROKERS[name])
    if url.hostname and not is_listening(url.hostname, url.port):
        return f"nothing listens at {url.hostname}:{url.port}"
    return None


def need_broker(name):
    """Skip the test, or fail it if services are required, unless the broker is available."""
    reason = why_not(name)
    if reason:
        miss(f"{name}: {reason}")


def miss(reason):
    """Skip the test, or fail it if services are required."""
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass(frozen=True)
class Broker:
    """
    A queue on a broker that no other run and no other test uses.

    Everything on the server is named after the queue, and ``remove`` removes it.
    """

    name: str
    url: str
    queue: str = field(default_factory=lambda: f"async_forms_{uuid.uuid4().hex[:12]}")

    @property
    def folder(self):
        return Path(tempfile.gettempdir()) / self.queue

    @property
    def options(self):
        """The transport options for Celery's setting."""
        if self.name == "redis":
            return {"global_keyprefix": f"{self.queue}:"}
        if self.name == "filesystem":
            self.folder.mkdir(exist_ok=True)
            return {
                "data_folder_in": str(self.folder),
                "data_folder_out": str(self.folder),
                "control_folder": str(self.folder / "control"),
                "polling_interval": 0.05,
            }
        return {}

    def environment(self):
        """Return the environment for the settings of the test project."""
        return {
            "TEST_BROKER": self.url,
            "TEST_BROKER_OPTIONS": json.dumps(self.options),
            "TEST_QUEUE": self.queue,
        }

    def connection(self):
        """Return a kombu connection, for tests that look at messages."""
        return Connection(self.url, transport_options=self.options)

    def remove(self):
        """Remove the queue and everything with its name."""
        if self.name == "filesystem":
            shutil.rmtree(self.folder, ignore_errors=True)
        elif self.name == "redis":
            with Redis.from_url(self.url) as redis:
                for key in redis.scan_iter(f"{self.queue}:*"):
                    redis.delete(key)
        else:
            with self.connection() as connection:
                connection.default_channel.queue_delete(self.queue)
                connection.default_channel.exchange_delete(self.queue)


#: The driver of each database server, and the prefix of its environment variables.
DRIVERS = {"postgresql": ("psycopg", "PG", 5432), "mariadb": ("MySQLdb", "MYSQL_", 3306)}


def main(name):
    """Return why the tests cannot use a service, or None if they can, and an exit code."""
    if name in BROKERS:
        reason = why_not(name)
        return reason, int(bool(reason))
    if name == "sqlite":
        return None, 0
    driver, prefix, port = DRIVERS[name]
    host = os.environ.get(f"{prefix}HOST", "127.0.0.1")
    port = int(os.environ.get(f"{prefix}PORT", port))
    if not host.startswith("/") and not is_listening(host, port):
        return f"nothing listens at {host}:{port}", 1
    if find_spec(driver) is None:
        return f"its driver {driver} is not installed", 2
    os.environ["TEST_DATABASE"] = name
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.project.settings"
    import django
    from django.db import Error, connections

    django.setup()
    try:
        with connections["default"].cursor():
            return None, 0
    except Error as error:
        return f"{host}:{port} refuses: {' '.join(str(error).split())}", 1


if __name__ == "__main__":
    reason, code = main(sys.argv[1])
    if reason:
        print(reason)
    sys.exit(code)
