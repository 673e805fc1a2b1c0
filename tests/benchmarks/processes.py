"""Starts web servers, workers, an object store and what lies in between, and reads their memory."""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.services import is_listening

from .rounds import stopwatch, wait_until

ROOT = Path(__file__).parent.parent.parent
PROJECT = "tests.benchmarks.project"


def free_port():
    """Return a port of this machine that nothing uses."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Process:
    """A process that ends with its children after the block: ``with Process(...) as process``."""

    def __init__(self, places, name, arguments, program=(sys.executable, "-m"), **chosen):
        self.log = places.data / f"{name}-{uuid.uuid4().hex[:6]}.log"
        self._command = [*program, *arguments]
        self._environment = {
            **os.environ,
            **places.environment(**chosen),
            "PYTHONWARNINGS": "ignore",
        }

    def __enter__(self):
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self.wait_until_ready()
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(self, *exception):
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        self._kill()

    def _kill(self):
        with suppress(ProcessLookupError):  # It has ended as asked.
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(20)

    def wait_until_listening(self):
        wait_until(lambda: is_listening("127.0.0.1", self.port), f"port {self.port}", pause=0.05)

    def wait_until_logged(self, pattern):
        def is_logged():
            text = self.log.read_text(errors="replace")
            if self._process.poll() is not None:
                raise RuntimeError(f"{' '.join(self._command)} has ended:\n{text}")
            return re.search(pattern, text, re.MULTILINE)

        wait_until(is_logged, f"{pattern} in {self.log}", pause=0.05)

    def children(self):
        """Return the ids of the processes that do the work."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [int(child) for child in children.read_text().split()]

    @contextmanager
    def paused(self):
        """Stop the process for the block, as if it had not been started yet."""
        os.killpg(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._process.pid, signal.SIGCONT)


class Web(Process):
    """gunicorn with a number of processes and threads."""

    def __init__(self, places, processes=2, threads=8, **chosen):
        self.port = free_port()
        arguments = ["gunicorn", f"{PROJECT}.wsgi", "--bind", f"127.0.0.1:{self.port}"]
        arguments += ["--workers", str(processes), "--timeout", "300"]
        if threads > 1:
            arguments += ["--threads", str(threads)]
        super().__init__(places, "web", arguments, **chosen)

    def wait_until_ready(self):
        self.wait_until_logged("Booting worker")
        self.post("/validated/", *multipart(None))

    def post(self, path, content_type, body, cookie=""):
        """Post a form and see that it answers with a redirect, as a browser does."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        headers = {"Content-Type": content_type, **({"Cookie": cookie} if cookie else {})}
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        if response.status != 302:
            raise RuntimeError(f"{path} answered with {response.status}: {text[:300]!r}")

    def time(self, path, content_type, body, cookie=""):
        """Post a form; return how many seconds later the last byte of the answer was there."""
        with stopwatch() as watch:
            self.post(path, content_type, body, cookie)
        return watch.seconds


class Worker(Process):
    """``celery worker`` with one or more processes."""

    def __init__(self, places, processes=1, **chosen):
        arguments = ["celery", "-A", PROJECT, "worker", "--pool", "prefork", "-l", "INFO"]
        arguments += ["-c", str(processes), "-n", f"{places.name}@%h"]
        super().__init__(
            places, "worker", [*arguments, "--without-mingle", "--without-gossip"], **chosen
        )

    def wait_until_ready(self):
        self.wait_until_logged(r"@\S+ ready\.")


class ObjectStore(Process):
    """An object store on the loopback device."""

    def __init__(self, places):
        self.port = free_port()
        super().__init__(places, "bucket", ["tests.benchmarks.bucket", str(self.port)])

    def wait_until_ready(self):
        self.wait_until_listening()


class Distance(Process):
    """A proxy in front of a port of this machine. Each answer takes ``seconds`` longer."""

    def __init__(self, places, target, seconds):
        self.port = free_port()
        arguments = ["tests.benchmarks.distance", str(self.port), target, str(seconds)]
        super().__init__(places, "distance", arguments)

    def wait_until_ready(self):
        self.wait_until_listening()


class PgBouncer(Process):
    """PgBouncer in transaction mode, in front of PostgreSQL."""

    PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

    def __init__(self, places, database):
        self.port = free_port()
        server = {"host": database["HOST"], "port": database["PORT"] or 5432}
        user = database["USER"]
        if database["PASSWORD"]:
            server["password"] = database["PASSWORD"]
        config = places.data / "pgbouncer.ini"
        config.write_text(
            "[databases]\n"
            f"* = {' '.join(f'{name}={value}' for name, value in server.items())} user={user}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            "auth_type = any\npool_mode = transaction\nmax_client_conn = 100\n"
            "ignore_startup_parameters = extra_float_digits\n"
        )
        # It does not run as root.
        account = ["--user=nobody"] if os.geteuid() == 0 else []
        super().__init__(places, "pgbouncer", [*account, str(config)], [self.PROGRAM])

    def wait_until_ready(self):
        self.wait_until_listening()


def multipart(data, name="photo.jpeg", draft=""):
    """Return the content type and the body of a form with a title, and an image or its draft."""
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="title"\r\n\r\nDune\r\n'.encode()
    ]
    if data is not None:
        head = f'Content-Disposition: form-data; name="image"; filename="{name}"\r\n'
        parts += [f"--{boundary}\r\n{head}Content-Type: image/jpeg\r\n\r\n".encode(), data, b"\r\n"]
    if draft:
        head = 'Content-Disposition: form-data; name="image-draft"'
        parts.append(f"--{boundary}\r\n{head}\r\n\r\n{draft}\r\n".encode())
    parts.append(f"--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}", b"".join(parts)


def resident(pid, what="VmRSS"):
    """Return the memory of a process in bytes: now, or its peak (VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{what}:\s+(\d+) kB", status, re.MULTILINE)[1]) * 1024


def forget_peak(pid):
    """Start counting the peak again."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
