"""What the processes of a run use: a database, a broker, storages, and what is between them."""

import uuid
from dataclasses import asdict
from functools import partial

from tests.services import BROKERS

from . import databases, storages
from .brokers import QUORUM, Broker, OwnRabbitMQ, OwnRedis
from .clusters import Cluster, DatabaseWithPooler, PgBouncer
from .databases import Database, DatabaseFile, DatabaseOfTheTests
from .disks import Disk
from .errors import SettingsError
from .named import FILES, ROWS, Named
from .network import Network, why_no_network
from .processes import free_port, object_store
from .proxy import Proxy

#: How far the replica is behind, in seconds.
LAG = 1.5
STAGING_FILES = "django_async_forms.storage.StagingFileSystemStorage"


class Engines:
    """
    Starts the servers of a run, and puts proxies before those that others may use.

    ``run`` has the choices of the processes, and ``run_of_harness`` those of the harness, which
    goes past the proxies.
    """

    def __init__(self, options, folder, pace):
        self.name = f"faults_{uuid.uuid4().hex[:12]}"
        self.folder = folder
        self._closing = []
        self.network = self.pooler = self.cluster = None
        self.disks = {}
        try:
            self._start(options, pace)
        except BaseException:
            self.close()
            raise

    def _start(self, options, pace):
        named = self._named = Named(options.settings) if options.settings else None
        host = "127.0.0.1"
        if options.hosts:
            reason = why_no_network()
            if reason:
                raise SettingsError(f"--hosts: {reason}")
            self.network = self._closing_later(Network("faults"))
            host = self.network.gateway
        if options.small_disks:
            staged = [f"{self.name}_staged"] if options.staging == "files" else []
            for name in ("media", *staged):
                self.disks[name] = self._closing_later(Disk(self.folder / name))
        self.database = self._closing_later(self._database(options, host))
        self.broker = self._closing_later(self._broker(options, host))
        #: The processes import the entry of a user's settings themselves.
        base = {} if named else self.database.entry
        shared = {
            **asdict(pace),
            "name": self.name,
            "folder": str(self.folder),
            "settings": options.settings,
            "replica": None,
            "broker": self.broker.url_of_processes,
            "broker_options": self.broker.options,
            "queue": self.broker.queue,
            "queue_type": options.queue_type,
            "storages": None if named else self._storages(options, host),
        }
        if self.cluster:
            proxy = self._closing_later(Proxy(self.cluster.replica_port, host))
            shared["replica"] = {"PORT": str(proxy.port), "OPTIONS": {"hostaddr": proxy.host}}
        self.run, self.run_of_harness = (
            {**shared, "database": databases.merged(base, self.database.changes(through_proxy))}
            for through_proxy in (True, False)
        )

    def create(self):
        """Create the database, and use each engine of a user once. Django is set up by now."""
        if self._named:
            self._check_storages()
            self.broker.check()
        self._closing.append(self.broker.remove)
        self.database.create()
        self._closing.append(self.database.drop)
        self.database.check_proxy()

    def _check_storages(self):
        for alias, entry in self._named.storages.items():
            folder = self.name if alias == "default" else f"{self.name}_staged"
            if not storages.is_database(entry):
                storages.check(alias, entry, folder, is_final=alias == "default")
                self._closing.append(partial(storages.remove, alias, entry, folder))

    def close(self):
        """Remove all data, and stop the servers of the run."""
        problems = []
        for close in reversed(self._closing):
            try:
                close()
            except Exception as error:
                problems.append(error)
        self._closing = []
        return problems

    def _closing_later(self, engine):
        self._closing.append(engine.close)
        return engine

    def _database(self, options, host):
        if self._named:
            return Database(self._named.database, self.name, host, options.isolation)
        if options.database == "sqlite":
            return DatabaseFile(self.folder)
        if options.replica:
            self.cluster = self._closing_later(Cluster(self.folder, LAG))
            entry = self.cluster.entry
        else:
            entry = databases.server_of_the_tests(options.database)
        if not options.pooler:
            return DatabaseOfTheTests(entry, self.name, host, options.isolation)
        self.pooler = PgBouncer(self.folder, entry)
        self._closing.append(self.pooler.kill)
        return DatabaseWithPooler(self.pooler, entry, self.name, host, options.isolation)

    def _broker(self, options, host):
        if self._named:
            named = self._named
            if named.queue_type == QUORUM and "faults" not in named.broker.rpartition("/")[2]:
                raise SettingsError(
                    'CELERY_TASK_DEFAULT_QUEUE_TYPE is "quorum". Celery then declares the queues '
                    "celery_delayed_0 to _27, which all queues of a virtual host share. Name a "
                    "virtual host for the run in CELERY_BROKER_URL, with faults in its name."
                )
            return Broker(named.broker, self.name, host, named.broker_options, named.broker_tls)
        if options.broker == "redis":
            return OwnRedis(self.folder, host, options.failover)
        if options.queue_type == QUORUM:
            return OwnRabbitMQ(self.folder, self.name, host)
        return Broker(BROKERS["rabbitmq"], self.name, host)

    def _storages(self, options, host):
        files = {"BACKEND": FILES, "OPTIONS": {"location": str(self.folder / "media")}}
        entries = {"default": files, "covers": files, "async_forms": {"BACKEND": ROWS}}
        if options.staging == "files":
            location = {"location": str(self.folder)}
            entries["async_forms"] = {"BACKEND": STAGING_FILES, "OPTIONS": location}
        if options.s3:
            port = free_port()
            self._closing.append(object_store(self.folder, port, host).kill)
            entries["default"] = {
                "BACKEND": "storages.backends.s3.S3Storage",
                "OPTIONS": {
                    "endpoint_url": f"http://{host}:{port}",
                    "access_key": "for tests only",
                    "secret_key": "for tests only",
                    "bucket_name": "pictures",
                    "region_name": "us-east-1",
                    # A user's file name must not overwrite another file.
                    "file_overwrite": False,
                },
            }
        return entries
