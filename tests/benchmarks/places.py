"""Makes and removes the folder, the databases and the queues of a run."""

import json
import os
import shutil
import tempfile
import uuid
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests import services


class Places:
    """All that a run makes outside its own memory. Create one before you set Django up."""

    def __init__(self):
        self.name = f"async_forms_bench_{uuid.uuid4().hex[:8]}"
        #: The servers of this machine.
        self.databases = ["sqlite"]
        if _has_server("PGHOST", "PGPORT", 5432):
            self.databases.append("postgresql")
        #: The one that all parts measure. ``engines`` measures the others too.
        self.database = self.databases[-1]
        if find_spec("MySQLdb") and _has_server("MYSQL_HOST", "MYSQL_PORT", 3306):
            self.databases.append("mariadb")
        self.brokers = {
            name: services.Broker(name, services.BROKERS[name], f"{self.name}_{name}")
            for name in ("redis", "rabbitmq")
            if services.why_not(name) is None
        }
        if not self.brokers:
            raise SystemExit("There is neither Redis nor RabbitMQ on this machine.")
        self.data = Path(tempfile.mkdtemp(prefix=f"{self.name}_"))
        for folder in ("temporary", "media", "by_hand"):
            (self.data / folder).mkdir()
        self.broker = next(iter(self.brokers.values()))
        #: The choices that every process gets in its environment as well.
        self.chosen = {}
        self._made = []
        self._apps = {}

    def enter(self):
        """Make this process, and the processes that it starts, work here."""
        os.environ.update(self.environment())

    def environment(self, broker=None, **chosen):
        """Return the environment for the settings. ``chosen`` has, say, a database or staging."""
        broker = self.brokers[broker] if broker else self.broker
        return {
            "DJANGO_SETTINGS_MODULE": "tests.benchmarks.project.settings",
            "BENCHMARK_DATA": str(self.data),
            "BENCHMARK_PREFIX": self.name,
            "BENCHMARK_BROKER": broker.url,
            "BENCHMARK_BROKER_OPTIONS": json.dumps(broker.options),
            "BENCHMARK_QUEUE": broker.queue,
            **{f"BENCHMARK_{k.upper()}": v for k, v in {**self.chosen, **chosen}.items()},
        }

    def make_database(self, alias):
        """Make a database with its tables."""
        from django.core.management import call_command
        from django.db import connections

        if alias in self._made:
            return
        self._made.append(alias)
        if connections[alias].vendor != "sqlite":
            _on_server(alias, f"CREATE DATABASE {connections[alias].settings_dict['NAME']}")
        # A staging folder has all of its folders after the first few hundred images.
        for number in range(256):
            (self.data / "staging" / alias / f"{number:02x}").mkdir(mode=0o700, parents=True)
        # The project lives as long as a run, so it has no migrations.
        call_command("migrate", database=alias, run_syncdb=True, verbosity=0)

    def drop_database(self, alias):
        """Remove a database, if this run has made it."""
        from django.db import connections

        if alias not in self._made:
            return
        self._made.remove(alias)
        connections[alias].close()
        vendor, name = connections[alias].vendor, connections[alias].settings_dict["NAME"]
        if vendor != "sqlite":
            force = " WITH (FORCE)" if vendor == "postgresql" else ""
            _on_server(alias, f"DROP DATABASE IF EXISTS {name}{force}")

    def remove(self):
        """Remove all of it."""
        for alias in list(self._made):
            self.drop_database(alias)
        for broker in self.brokers.values():
            broker.remove()
        shutil.rmtree(self.data, ignore_errors=True)

    @contextmanager
    def use(self, database=None, staging=None, broker=None):
        """Make this process use another database, staging storage or broker."""
        from django.core.files.storage import default_storage
        from django.test import override_settings

        from django_async_forms.storage import staging_storage

        from .project.routers import Router
        from .project.settings import storages_with

        before = Router.alias
        Router.alias = database or before
        with (
            override_settings(STORAGES=storages_with(staging or "database")),
            self._sending_to(broker),
        ):
            # The first use makes both storages. That is not a part of the measurement.
            default_storage.exists("")
            staging_storage(Router.alias).exists("any")
            yield
        Router.alias = before

    @contextmanager
    def _sending_to(self, name):
        from celery import Celery, current_app

        if name is None or name == self.broker.name:
            yield
            return
        previous = current_app._get_current_object()
        if name not in self._apps:
            broker = self.brokers[name]
            self._apps[name] = Celery("tests.benchmarks.project")
            self._apps[name].conf.update(
                broker_url=broker.url,
                broker_transport_options=broker.options,
                task_default_queue=broker.queue,
            )
        self._apps[name].set_current()
        self._apps[name].set_default()
        try:
            yield
        finally:
            previous.set_current()
            previous.set_default()

    def empty(self, database):
        """Remove all rows, messages and files, but not the tables, queues and folders."""
        from django.conf import settings
        from django.db import connections

        from django_async_forms.models import Draft, StoredChunk, Upload

        from .project import models

        self.empty_queues()
        tables = [
            StoredChunk,
            Upload,
            Draft,
            models.Photo,
            models.Distant50,
            models.Distant200,
        ]
        connection = connections[database]
        names = [connection.ops.quote_name(model._meta.db_table) for model in tables]
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                # Deleted rows that are still on the disk would slow later rows down.
                cursor.execute(f"TRUNCATE {', '.join(names)}")
            else:
                for name in names:
                    cursor.execute(f"DELETE FROM {name}")
        for folder in ("staging", "media", "by_hand"):
            for path in (settings.DATA / folder).rglob("*"):
                if path.is_file():
                    path.unlink()

    def empty_queues(self):
        """Drop the messages that no worker will take."""
        for broker in self.brokers.values():
            with broker.connection() as connection:
                try:
                    connection.default_channel.queue_purge(broker.queue)
                except connection.channel_errors:
                    continue  # Nothing has been sent there yet.


def _has_server(host, port, standard):
    host = os.environ.get(host, "127.0.0.1")
    return host.startswith("/") or services.is_listening(host, os.environ.get(port, standard))


def _on_server(alias, statement):
    """Execute a statement outside the database that it creates or drops."""
    from django.db import connections

    with connections[alias]._nodb_cursor() as cursor:
        cursor.execute(statement)
