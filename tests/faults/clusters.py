"""Servers of the run's own around PostgreSQL: a cluster with a replica that lags, and PgBouncer."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.services import is_listening

from .databases import DatabaseOfTheTests
from .errors import SettingsError
from .processes import Process, free_port, wait_until

#: The user of the servers if the run is root's, whom they refuse.
USER = "postgres"


def _as_user(command):
    return ["runuser", "-u", USER, "--", *command] if os.geteuid() == 0 else command


def _folder(folder):
    """Make a folder for the servers' user."""
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        folder.parent.chmod(0o711)
        shutil.chown(folder, USER, USER)
    return folder


class Cluster:
    """A server of PostgreSQL, and a replica that applies each change some time later."""

    def __init__(self, folder, lag):
        self._programs = self._find()
        self._folder = _folder(folder / "cluster")
        self._primary, self._replica = self._folder / "primary", self._folder / "replica"
        self._do("initdb", "-D", self._primary, "-U", USER, "-A", "trust", "-N")
        self.port, self.replica_port = free_port(), free_port()
        self._server = self._start(self._primary, self.port)
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER]
        self._do("pg_basebackup", "-D", self._replica, "-R", "-c", "fast", *address)
        with (self._replica / "postgresql.auto.conf").open("a") as file:
            file.write(f"recovery_min_apply_delay = '{lag}s'\nmax_standby_streaming_delay = -1\n")
        self._standby = self._start(self._replica, self.replica_port)

    @property
    def entry(self):
        """The entry of DATABASES for the server."""
        return {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "USER": USER,
        }

    def kill(self):
        """Kill the server, as a power cut does."""
        self._server.kill()
        # Its children end when they notice.
        wait_until(lambda: not is_listening("127.0.0.1", self.port), "PostgreSQL has ended")

    def start(self):
        """Start the server again. It recovers from its log."""

        def is_there():
            # The children of the killed one may still hold its memory.
            if not self._server.is_running():
                self._server.kill()
                self._server = self._process(self._primary, self.port)
            return self._is_ready(self.port)

        wait_until(is_there, "PostgreSQL is back")

    def close(self):
        self._standby.kill()
        self._server.kill()

    def _find(self):
        path = os.pathsep.join(
            [*map(str, Path("/usr/lib/postgresql").glob("*/bin")), os.environ.get("PATH", "")]
        )
        found = shutil.which("initdb", path=path)
        if found is None:
            raise SettingsError("initdb is not on PATH. On Debian: apt install postgresql")
        return Path(found).parent

    def _do(self, program, *arguments):
        command = _as_user([str(self._programs / program), *map(str, arguments)])
        subprocess.run(command, check=True, capture_output=True, cwd="/")

    def _process(self, data, port):
        command = [str(self._programs / "postgres"), "-D", str(data), "-p", str(port)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        return Process(data.name, _as_user(command), self._folder / f"{data.name}.log")

    def _start(self, data, port):
        process = self._process(data, port)
        process.wait_for(lambda: self._is_ready(port), f"the {data.name} is ready")
        return process

    def _is_ready(self, port):
        command = [str(self._programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


class PgBouncer:
    """A pooler before a server, which gives a connection to each transaction."""

    #: Fewer connections than the processes have, so that they take turns.
    SIZE = 6

    def __init__(self, folder, entry):
        self._program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if self._program is None:
            raise SettingsError("pgbouncer is not on PATH. On Debian: apt install pgbouncer")
        self._folder = _folder(folder / "pgbouncer")
        self.port = free_port()
        server = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
        words = [f"{word}={entry[key]}" for word, key in server.items() if entry.get(key)]
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            # It logs in as the user of the server's line, whoever comes.
            "auth_type": "any",
            "pool_mode": "transaction",
            "default_pool_size": self.SIZE,
            "max_client_conn": 500,
            "ignore_startup_parameters": "extra_float_digits",
        }
        lines = ["[databases]", f"* = {' '.join(words)}", "[pgbouncer]"]
        lines += [f"{key} = {value}" for key, value in settings.items()]
        self._ini = self._folder / "pgbouncer.ini"
        self._ini.write_text("\n".join(lines) + "\n")
        if os.geteuid() == 0:
            shutil.chown(self._ini, USER, USER)
        self.start()

    def start(self):
        command = _as_user([self._program, str(self._ini)])
        self._process = Process("pgbouncer", command, self._folder / "log")
        self._process.wait_for(lambda: is_listening("127.0.0.1", self.port), "PgBouncer listens")

    def kill(self):
        self._process.kill()


class DatabaseWithPooler(DatabaseOfTheTests):
    """A database that processes reach through a pooler. The harness goes past it."""

    def __init__(self, pooler, *args, **kwargs):
        self._pooler = pooler
        super().__init__(*args, **kwargs)

    def _target(self):
        return self._pooler.port

    def changes(self, through_proxy):
        changes = super().changes(through_proxy)
        return {**changes, "DISABLE_SERVER_SIDE_CURSORS": True} if through_proxy else changes
