"""
The database servers and message brokers that tests run against: which are there, and where.

``python -m tests.services NAME`` tells whether a database server can be used: it exits with 0, or
prints why not and exits with 1 (there is no such server) or 2 (there is, but no driver for it).
"""

import importlib
import json
import os
import shutil
import socket
import sys
import tempfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

#: Set by ``tests/run --require-services``: what is missing is a failure then, no reason to skip.
REQUIRED = "TEST_REQUIRE_SERVICES" in os.environ

#: The brokers that tests use; other places than these may be named in the environment.
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


def why_no_broker(name):
    """Return why the tests cannot use a broker, or None if they can."""
    url = urlsplit(BROKERS[name])
    if url.hostname and not is_listening(url.hostname, url.port):
        return f"no {name} at {url.hostname}:{url.port}"
    return None


@dataclass(frozen=True)
class Broker:
    """
    One queue on a broker, that no other run and no other test uses.

    What it leaves on the server is named for the queue, and gone after ``remove``.
    """

    name: str
    queue: str = field(default_factory=lambda: f"async_forms_{uuid.uuid4().hex[:12]}")

    @property
    def url(self):
        return BROKERS[self.name]

    @property
    def folder(self):
        return Path(tempfile.gettempdir()) / self.queue

    @property
    def options(self):
        """The transport options, as Celery's setting has them."""
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
        """Return what the settings of the test project read."""
        return {
            "TEST_BROKER": self.url,
            "TEST_BROKER_OPTIONS": json.dumps(self.options),
            "TEST_QUEUE": self.queue,
        }

    def remove(self):
        """Remove the queue and all that came with it."""
        if self.name == "filesystem":
            shutil.rmtree(self.folder, ignore_errors=True)
        elif self.name == "redis":
            from redis import Redis

            with Redis.from_url(self.url) as redis:
                for key in redis.scan_iter(f"{self.queue}:*"):
                    redis.delete(key)
        else:
            from kombu import Connection

            with Connection(self.url) as connection:
                connection.default_channel.queue_delete(self.queue)
                connection.default_channel.exchange_delete(self.queue)


def why_no_database(name):
    """Return why the tests cannot use a database server, or None if they can, and an exit code."""
    if name == "sqlite":
        return None, 0
    if name == "postgresql":
        driver, host = "psycopg", os.environ.get("PGHOST", "127.0.0.1")
        port = int(os.environ.get("PGPORT", 5432))
    else:
        driver, host, port = "MySQLdb", os.environ.get("MYSQL_HOST", "127.0.0.1"), 3306
    if not host.startswith("/") and not is_listening(host, port):
        return f"no server at {host}:{port}", 1
    try:
        importlib.import_module(driver)
    except ImportError as error:
        return f"no driver: {error}", 2
    import django
    from django.db import connections

    os.environ["TEST_DATABASE"] = name
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.project.settings")
    django.setup()
    try:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT 1")
    except django.db.Error as error:
        return f"the server at {host}:{port} refuses: {' '.join(str(error).split())}", 1
    return None, 0


if __name__ == "__main__":
    reason, code = why_no_database(sys.argv[1])
    if reason:
        print(reason)
    sys.exit(code)
