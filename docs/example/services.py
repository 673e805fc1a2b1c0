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
#: Seconds in which each process has to be ready, and in which it has to stop.
DEADLINE = 60
STOP_DEADLINE = 20
#: How often a worker is started again, as whatever watches a worker in earnest would do.
RESTARTS = 3
#: What asks the example to stop.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Failed(Exception):  # noqa: N818
    """Something did not work; the message is all that a person needs to read."""


class Service:
    """A process of the example with its log. It is a session of its own, which Ctrl-C spares."""

    def __init__(self, name, log, *arguments, restarts=0):
        self.name = name
        self.log = log
        self._arguments = arguments
        self._restarts = restarts
        log.write_bytes(b"")
        self._start()

    def _start(self):
        with self.log.open("ab") as file:
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
        """Start a process that has ended again, or raise ``Failed`` if that is no use."""
        code = self.process.poll()
        if code is None:
            return
        how = f"by signal {-code}" if code < 0 else f"with exit status {code}"
        if not self._restarts:
            raise Failed(f"The {self.name} ended {how}.")
        self._restarts -= 1
        print(f"The {self.name} ended {how}, and is started again.", flush=True)
        with suppress(ProcessLookupError):  # A worker's main process leaves its children behind.
            os.killpg(self.process.pid, signal.SIGKILL)
        self._start()

    def wait_until(self, is_ready):
        deadline = time.monotonic() + DEADLINE
        while not is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise Failed(f"The {self.name} was not ready within {DEADLINE} s.")
            time.sleep(0.05)

    def stop(self):
        """Wait for the process, which was asked to end; then end what is left of its session."""
        try:
            self.process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            print(f"The {self.name} did not stop within {STOP_DEADLINE} s: killed.")
        with suppress(ProcessLookupError):  # As it should be: nothing is left.
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def running(data, port):
    """Start the worker and the site, yield both when they are ready, and stop them at the end."""
    started = []

    def start(*arguments, **options):
        started.append(Service(*arguments, **options))
        return started[-1]

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
        # As a user starts them. The worker runs Celery beat too, which sends recover_uploads.
        worker = start(
            "worker",
            data / "worker.log",
            *("-m", "celery", "-A", "project", "worker", "-B", "-s", str(data / "beat-schedule")),
            *("--concurrency", "2", "--loglevel", "INFO", "--without-mingle", "--without-gossip"),
            restarts=RESTARTS,
        )
        site = start(
            "site", data / "site.log", "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"
        )
        site.wait_until(site_answers)
        worker.wait_until(worker_says_ready)
        yield started
    except SystemExit:
        print("\nStopping the site and its worker…", flush=True)
        raise
    except Exception:
        for service in started:
            lines = service.text().splitlines()[-25:]
            print(f"\n--- the end of the {service.name}'s log ---", *lines, sep="\n")
        print(flush=True)
        raise
    finally:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # It is stopping already.
        # Both at once: Celery takes some seconds to go.
        for service in started:
            service.process.terminate()
        for service in started:
            service.stop()
