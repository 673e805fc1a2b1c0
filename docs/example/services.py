"""The processes of the example, a site and a worker: started, waited for, watched and stopped."""

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

HERE = Path(__file__).resolve().parent
#: Seconds in which each process has to be ready, and in which the worker has to finish.
DEADLINE = 60
STOP_DEADLINE = 20
#: How often a worker is started again, as whatever watches a worker in earnest would do.
RESTARTS = 3
#: What asks the example to stop.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Failed(Exception):  # noqa: N818
    """Something did not work; the message is all that a person needs to read."""


def say(*lines):
    """Print lines at once. A terminal that was closed must not keep anything from being stopped."""
    with suppress(OSError):
        print(*lines, sep="\n", flush=True)


@contextmanager
def signals_deferred():
    """Let a signal wait, so that none comes between the start of a process and the note of it."""
    received = []
    handlers = [
        (number, signal.signal(number, lambda number, frame: received.append(number)))
        for number in STOP_SIGNALS
    ]
    try:
        yield
    finally:
        for number, handler in handlers:
            signal.signal(number, handler)
        for number in received:
            signal.raise_signal(number)


class Service:
    """A process of the example with its log. It is a session of its own, which Ctrl-C spares."""

    def __init__(self, name, log, *arguments, restarts=0):
        self.name = name
        self.log = log
        self._arguments = arguments
        self._restarts = restarts
        self.process = None
        log.write_bytes(b"")

    def start(self):
        with self.log.open("ab") as file, signals_deferred():
            self.process = subprocess.Popen(
                [sys.executable, *self._arguments],
                cwd=HERE,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def text(self):
        return self.log.read_text(errors="replace")

    def check(self):
        """Start a process that has ended again, or raise ``Failed`` if that does not help."""
        code = self.process.poll()
        if code is None:
            return
        how = f"by signal {-code}" if code < 0 else f"with exit status {code}"
        if not self._restarts:
            raise Failed(f"The {self.name} ended {how}.")
        self._restarts -= 1
        say(f"The {self.name} ended {how}. Starting it again…")
        self.kill()  # A worker's main process leaves its children behind.
        self.start()

    def wait_until(self, is_ready):
        deadline = time.monotonic() + DEADLINE
        while not is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise Failed(f"The {self.name} was not ready within {DEADLINE} s.")
            time.sleep(0.05)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def ask_to_end(self):
        if self.is_running():
            self.process.terminate()

    def kill(self):
        """End what is left of the process and of its session."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):  # Nothing is left.
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def stop(worker, site):
    """
    End both processes, and let the worker finish the images that it is saving.

    An idle worker of Celery takes some six seconds to end, in which nothing happens. So it is
    ended as soon as no image is pending. Another signal ends it at once.
    """
    from django_async_forms.models import Upload

    impatient = []
    for number in STOP_SIGNALS:
        signal.signal(number, lambda number, frame: impatient.append(number))
    site.ask_to_end()
    worker.ask_to_end()
    deadline = time.monotonic() + STOP_DEADLINE
    has_said = False
    try:
        while worker.is_running() and not impatient and (count := Upload.objects.pending().count()):
            if time.monotonic() > deadline:
                say(f"The worker did not finish within {STOP_DEADLINE} s.")
                break
            if not has_said:
                what = "1 image" if count == 1 else f"{count} images"
                say(
                    f"The worker is still saving {what}. Ctrl-C again ends it at once:",
                    "what is pending is kept, and saved after the next start.",
                )
                has_said = True
            time.sleep(0.05)
    finally:
        for service in (site, worker):
            service.kill()


@contextmanager
def running(data, port):
    """Start the worker and the site, yield both when they are ready, and stop them at the end."""
    # As a user starts them. The worker runs Celery beat too, which sends recover_uploads.
    worker = Service(
        "worker",
        data / "worker.log",
        *("-m", "celery", "-A", "project", "worker", "-B", "-s", str(data / "beat-schedule")),
        *("--concurrency", "2", "--loglevel", "INFO", "--without-mingle", "--without-gossip"),
        restarts=RESTARTS,
    )
    site = Service(
        "site", data / "site.log", "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"
    )

    def site_answers():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        try:
            connection.request("GET", "/")
            status = connection.getresponse().status
        except ConnectionError:
            return False  # Not yet: the process says if it has ended.
        finally:
            connection.close()
        if status != 200:
            raise Failed(f"The site answered {status} to GET /.")
        return True

    def worker_says_ready():
        return re.search(r"@\S+ ready\.$", worker.text(), re.MULTILINE)

    try:
        say("Starting the worker…")
        worker.start()
        say("Starting the site…")
        site.start()
        site.wait_until(site_answers)
        worker.wait_until(worker_says_ready)
        yield worker, site
    except SystemExit:
        say("", "Stopping the site and the worker…")
        raise
    except Exception:
        for service in (worker, site):
            lines = service.text().splitlines()[-25:]
            say("", f"--- the end of the {service.name}'s log ---", *lines)
        say("")
        raise
    finally:
        stop(worker, site)
