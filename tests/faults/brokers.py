"""The broker of a run: its own queue on a server behind a proxy, or a server of its own."""

import shutil
from contextlib import suppress
from urllib.parse import urlsplit

from kombu import Connection

from tests.services import is_listening

from .errors import SettingsError
from .processes import Process, free_port, wait_until
from .proxy import Proxy

#: The transports whose queues a run can name and remove, with their ports.
PORTS = {"amqp": 5672, "pyamqp": 5672, "amqps": 5671, "redis": 6379, "rediss": 6379}
QUORUM = "quorum"


class Broker:
    """
    The run's own queue on a server that others may use, behind a proxy that is stopped instead.

    Everything on the server is named after the queue, and ``remove()`` removes it.
    """

    def __init__(self, url, queue, host="127.0.0.1", options=None, tls=None):
        self.url = url
        self.queue = queue
        self._tls = tls
        parts = urlsplit(url)
        if parts.scheme not in PORTS:
            raise SettingsError(
                f"CELERY_BROKER_URL begins with {parts.scheme!r}. A run can use "
                f"{', '.join(PORTS)}: it names its own queue there, and puts a proxy before it."
            )
        self.is_redis = parts.scheme.startswith("redis")
        self.options = dict(options or {})
        if self.is_redis:
            self.options["global_keyprefix"] = f"{self.options.get('global_keyprefix', '')}{queue}:"
        if parts.scheme in ("amqps", "rediss") or tls:
            # The certificate names the server.
            self.proxy, self.url_of_processes = None, url
        else:
            port = parts.port or PORTS[parts.scheme]
            self.proxy = Proxy((parts.hostname or "127.0.0.1", port), host)
            user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
            netloc = f"{user}{self.proxy.host}:{self.proxy.port}"
            self.url_of_processes = parts._replace(netloc=netloc).geturl()

    def check(self):
        """Connect once, as the processes will do."""
        try:
            with self._connection(self.url_of_processes) as connection:
                connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=10)
        except Exception as error:
            place = urlsplit(self.url)
            raise SettingsError(
                f"CELERY_BROKER_URL: {place.hostname}:{place.port or PORTS[place.scheme]} does not "
                f"answer as a broker: {error!r}"
            ) from error

    def stop(self):
        """Stop the proxy. For its clients, the server stops."""
        self.proxy.refuse()

    def start(self):
        """Start the proxy again."""
        self.proxy.accept()

    def empty(self):
        """Remove all messages of the queue. Workers keep those that they have reserved."""
        if self.is_redis:
            self._delete_keys()
        else:
            with self._connection(self.url) as connection:
                connection.default_channel.queue_purge(self.queue)

    def remove(self):
        """Remove everything with the queue's name."""
        if self.is_redis:
            self._delete_keys()
            return
        with self._connection(self.url) as connection:
            connection.default_channel.queue_delete(self.queue)
        for exchange in (self.queue, f"{self.queue}_events"):
            with self._connection(self.url) as connection:
                connection.default_channel.exchange_delete(exchange)

    def close(self):
        if self.proxy:
            self.proxy.close()

    def _connection(self, url):
        return Connection(url, transport_options=self.options, ssl=self._tls, connect_timeout=10)

    def _delete_keys(self):
        with self._connection(self.url) as connection:
            client = connection.default_channel.client
            prefix = self.options["global_keyprefix"]
            # The client puts the prefix before the keys of some commands only.
            for key in client.scan_iter(f"{prefix}*"):
                client.execute_command("DEL", key.decode().removeprefix(prefix))


class OwnRedis:
    """The run's own Redis behind a proxy, with its data in a folder, and perhaps a replica."""

    is_redis = True
    queue = "faults"
    options = {}

    def __init__(self, folder, host="127.0.0.1", fails_over=False):
        self._folder = folder
        self._servers = 0
        self._primary = self._launch()
        self._replica = self._launch(self._primary) if fails_over else None
        self.proxy = Proxy(self._primary.port, host)
        self.url_of_processes = f"redis://{self.proxy.host}:{self.proxy.port}/0"

    def _launch(self, primary=None):
        self._servers += 1
        return _RedisServer(self._folder / f"redis{self._servers}", primary)

    def stop(self):
        """Stop the server as a crash does."""
        self._primary.process.kill()

    def start(self):
        """Start the server again, with its data on the disk."""
        self._primary.start()

    def empty(self):
        with self._primary.client() as client:
            client.flushall()

    def lag(self):
        """Have the replica get nothing more. Clients get their answers all the same."""
        self._replica.process.pause()

    def fail_over(self):
        """Kill the server, and promote its replica, which lacks what came since ``lag()``."""
        old, self._primary = self._primary, self._replica
        old.process.kill()
        self._primary.process.resume()
        self._primary.promote()
        self.proxy.target = self._primary.port
        self.proxy.cut()
        self._replica = self._launch(self._primary)

    def remove(self):
        """Do nothing: the data goes with the run's folder."""

    def close(self):
        self.proxy.close()
        for server in (self._primary, self._replica):
            if server is not None:
                server.process.kill()


class _RedisServer:
    def __init__(self, folder, primary):
        folder.mkdir()
        self._folder = folder
        self._primary = primary
        self.port = free_port()
        self.start()

    def start(self):
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self._folder), "--appendonly", "yes", "--save", ""]
        if self._primary:
            command += ["--replicaof", "127.0.0.1", str(self._primary.port)]
        self.process = Process("redis", command, self._folder / "log")
        self.process.wait_for(lambda: is_listening("127.0.0.1", self.port), "Redis listens")
        if self._primary:
            self.process.wait_for(self._is_in_step, "the replica has what the server has")

    def promote(self):
        """Make a server of the replica, after a restart too."""
        self._primary = None
        with self.client() as client:
            client.replicaof("NO", "ONE")

    def _is_in_step(self):
        with self.client() as client:
            return client.info("replication").get("master_link_status") == "up"

    def client(self):
        from redis import Redis

        return Redis(port=self.port)


class OwnRabbitMQ(Broker):
    """The run's own node of RabbitMQ, which is killed and started again."""

    #: Debian's scripts, without the wrapper that changes the user.
    FOLDERS = ("/usr/lib/rabbitmq/bin", "/usr/local/sbin", "/opt/rabbitmq/sbin")

    def __init__(self, folder, queue, host="127.0.0.1"):
        self._script = shutil.which("rabbitmq-server", path=":".join(self.FOLDERS))
        if self._script is None:
            raise SettingsError(
                f"rabbitmq-server is not in {', '.join(self.FOLDERS)}, and a run with this option "
                "starts a node of its own."
            )
        self._folder = folder / "rabbitmq"
        self._folder.mkdir()
        (self._folder / "plugins").write_text("[].\n")
        # RabbitMQ counts disks among its alarms, and this one may be small.
        (self._folder / "rabbitmq.conf").write_text("disk_free_limit.absolute = 50MB\n")
        self._port, self._distribution = free_port(), free_port()
        self._launch()
        super().__init__(f"amqp://guest:guest@127.0.0.1:{self._port}//", queue, host)

    def _launch(self):
        folder = str(self._folder)
        self._process = Process(
            "rabbitmq",
            [self._script],
            self._folder / "log",
            HOME=folder,
            RABBITMQ_NODENAME=f"faults{self._port}@localhost",
            RABBITMQ_NODE_IP_ADDRESS="127.0.0.1",
            RABBITMQ_NODE_PORT=str(self._port),
            RABBITMQ_DIST_PORT=str(self._distribution),
            RABBITMQ_MNESIA_BASE=folder,
            RABBITMQ_LOG_BASE=folder,
            RABBITMQ_ENABLED_PLUGINS_FILE=f"{folder}/plugins",
            RABBITMQ_CONFIG_FILE=f"{folder}/rabbitmq",
            RABBITMQ_PID_FILE=f"{folder}/pid",
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 2:2 +sbwt none",
        )
        self._process.wait_for(self._answers, "RabbitMQ answers")

    def _answers(self):
        with suppress(Exception), Connection(f"amqp://guest:guest@127.0.0.1:{self._port}//") as one:
            one.ensure_connection(max_retries=1, timeout=2)
            return True
        return False

    def stop(self):
        """Kill the node."""
        self._process.kill()
        wait_until(lambda: not is_listening("127.0.0.1", self._port), "RabbitMQ has ended")

    def start(self):
        """Start the node again, with its data on the disk."""
        self._launch()

    def remove(self):
        """Do nothing: the data goes with the run's folder."""

    def close(self):
        super().close()
        self._process.kill()
