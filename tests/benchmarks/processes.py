"""Starts a web server, a worker and an object store, and reads their memory."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path

from .rounds import wait_until

ROOT = Path(__file__).parent.parent.parent
PROJECT = "tests.benchmarks.project"


class Process:
    """A process that ends with its children after the block: ``with Process(...) as process``."""

    def __init__(self, places, name, arguments, **chosen):
        self.log = places.data / f"{name}-{uuid.uuid4().hex[:6]}.log"
        self._command = [sys.executable, "-m", *arguments]
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
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        arguments = ["gunicorn", f"{PROJECT}.wsgi", "--bind", f"127.0.0.1:{self.port}"]
        arguments += ["--workers", str(processes), "--timeout", "300"]
        if threads > 1:
            arguments += ["--threads", str(threads)]
        super().__init__(places, "web", arguments, **chosen)

    def wait_until_ready(self):
        self.wait_until_logged("Booting worker")
        self.post("/validated/", *multipart(None))

    def post(self, path, content_type, body):
        """Post a form and see that it answers with a redirect, as a browser does."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.request("POST", path, body, {"Content-Type": content_type})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        if response.status != 302:
            raise RuntimeError(f"{path} answered with {response.status}: {text[:300]!r}")


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
    """moto's S3, on the loopback device, with an empty bucket."""

    def __init__(self, places):
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__(places, "s3", ["moto.server", "-p", str(self.port)])

    def wait_until_ready(self):
        self.wait_until_logged("Running on")
        import boto3

        from .project.storages import BUCKET

        client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="none",
            aws_secret_access_key="none",
        )
        client.create_bucket(Bucket=BUCKET)


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
