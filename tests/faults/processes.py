"""The processes of a run. Each has its own group and log, and ends with the run."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
#: The time that a process has to start on a slow and busy machine.
DEADLINE = 90


def free_port():
    """Return a free port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(condition, what, deadline=DEADLINE):
    """Wait until ``condition()`` is true, and return what it returned."""
    latest = time.monotonic() + deadline
    while not (result := condition()):
        if time.monotonic() > latest:
            raise TimeoutError(f"Not within {deadline} s: {what}")
        time.sleep(0.02)
    return result


class Process:
    """A running command. It imports the code in ``build``, a copy of the repository's root."""

    def __init__(self, name, command, log, pass_fds=(), build=ROOT, **environment):
        self.name = name
        self.log = Path(log)
        self._starts_at = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.leash", *command],
                cwd=build,
                env={**os.environ, "PYTHONWARNINGS": "ignore", **environment},
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=pass_fds,
            )
        #: The id of its process group.
        self.group = self._process.pid

    def is_running(self):
        return self._process.poll() is None

    def text(self):
        """Return the log of this process."""
        with self.log.open(errors="replace") as file:
            file.seek(self._starts_at)
            return file.read()

    def wait_for(self, condition, what):
        """Wait until the process is ready; fail if it has ended."""

        def is_so():
            if not self.is_running():
                raise RuntimeError(f"{self.name} has ended:\n{self.text()[-3000:]}")
            return condition()

        return wait_until(is_so, what)

    def commands(self):
        """Return a list with the id of the command's process, or an empty one if it has ended."""
        return _children(self.group)

    def children(self):
        """Return the ids of the processes that the command has started."""
        return [child for parent in self.commands() for child in _children(parent)]

    def ask_to_stop(self):
        """Ask the process to finish its work and stop, as an operator would."""
        self._signal(signal.SIGTERM)

    def pause(self):
        """Have the process stand still, as on a host that is overloaded."""
        self._signal(signal.SIGSTOP)

    def resume(self):
        self._signal(signal.SIGCONT)

    def _signal(self, number):
        for command in self.commands():
            with suppress(ProcessLookupError):
                os.kill(command, number)

    def kill(self):
        """Kill the process and its children immediately, as a power cut does."""
        with suppress(ProcessLookupError):  # It has ended already.
            os.killpg(self.group, signal.SIGKILL)
        self._process.wait(DEADLINE)
        self._process.stdin.close()


def _children(parent):
    try:
        text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(child) for child in text.split()]


class Processes:
    """Starts the processes of a run, each on a host of its name, and kills them."""

    def __init__(self, run, folder, network=None):
        self._run = run
        self._folder = folder
        self._network = network
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self._started = []

    def _start(self, name, command, role, pass_fds=(), build=None, **environment):
        at_host = self._network.add(name) if self._network else []
        process = Process(
            name,
            [*at_host, sys.executable, "-m", *command],
            self._folder / f"{name}.log",
            pass_fds=pass_fds,
            build=build or ROOT,
            FAULTS_RUN=json.dumps(self._run),
            FAULTS_ROLE=role,
            FAULTS_HOST=name,
            DJANGO_SETTINGS_MODULE="tests.faults.site.settings",
            **environment,
        )
        self._started.append(process)
        return process

    def site(self, build=None):
        """Start gunicorn, with two processes of four threads."""
        number = self.listener.fileno()
        command = ["gunicorn", "tests.faults.site.wsgi", "--bind", f"fd://{number}"]
        command += ["--workers", "2", "--worker-class", "gthread", "--threads", "4"]
        command += ["--no-control-socket"] if _knows("--no-control-socket") else []
        return self._start("site", command, "site", (number,), build)

    def worker(self, name, build=None, **environment):
        """Start a Celery worker with several processes; ``is_ready`` tells when it takes tasks."""
        command = ["celery", "-A", "tests.faults.site", "worker", "--pool", "prefork"]
        command += ["-c", "3", "-l", "INFO", "-n", f"{name}-{self._run['queue']}@%h"]
        command += ["--without-mingle", "--without-gossip", "--without-heartbeat"]
        return self._start(name, command, "worker", build=build, **environment)

    def beat(self):
        """Start Celery beat, which sends the recovery's messages."""
        command = ["celery", "-A", "tests.faults.site", "beat", "-l", "INFO"]
        command += ["-s", str(self._folder / "beat")]
        return self._start("beat", command, "beat")

    def kill(self):
        for process in self._started:
            process.kill()
        self.listener.close()


def is_ready(worker):
    """Tell whether a Celery worker takes tasks."""
    return re.search(r"@\S+ ready\.$", worker.text(), re.MULTILINE)


def _knows(option):
    """Tell whether gunicorn has an option, which older versions lack."""
    from gunicorn.config import KNOWN_SETTINGS

    return any(option in (setting.cli or ()) for setting in KNOWN_SETTINGS)


def object_store(folder, port, host="127.0.0.1"):
    """Start moto's S3 server, and make the bucket."""
    import boto3

    command = [sys.executable, "-m", "moto.server", "-H", host, "-p", str(port)]
    process = Process("s3", command, folder / "s3.log")
    process.wait_for(lambda: f":{port}" in process.text(), "moto listens")
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="for tests only",
        aws_secret_access_key="for tests only",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="pictures")
    return process
