"""The example of the documentation, running: with a folder of its own, and stopped at the end."""

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager

from tests.pages import ROOT
from tests.worker import DEADLINE, wait_until

SERVE = ROOT / "docs" / "example" / "serve.py"
READY = "Ctrl-C stops"


class Example:
    """What ``docs/example/run`` starts, in the environment of the tests."""

    def __init__(self, folder, *options, seconds=2):
        self.data = folder / "data"
        self._log = folder / "example.log"
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "EXAMPLE_DATA": str(self.data),
            "SLOW_STORAGE_SECONDS": str(seconds),
        }
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, SERVE, *options],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def printed(self):
        return self._log.read_text()

    @property
    def address(self):
        return re.search(r"^Photos +(\S+)$", self.printed(), re.MULTILINE)[1]

    def wait_until_it_prints(self, text):
        def printed():
            assert text in self.printed() or self.process.poll() is None, self.printed()
            return text in self.printed()

        wait_until(printed, f"the example prints {text!r}")

    def send(self, number=signal.SIGINT):
        self.process.send_signal(number)

    def wait(self):
        return self.process.wait(DEADLINE)

    def processes(self):
        """Return the ids of all processes that work in the example's data folder."""
        found = []
        for entry in os.listdir("/proc"):
            try:
                with open(f"/proc/{entry}/environ", "rb") as file:
                    variables = file.read().split(b"\0")
                with open(f"/proc/{entry}/stat") as file:
                    state = file.read().rpartition(")")[2].split()[0]
            except (OSError, ValueError):
                continue  # It is not a process, or has just ended.
            if f"EXAMPLE_DATA={self.data}".encode() in variables and state != "Z":
                found.append(int(entry))
        return found


@contextmanager
def running(folder, *options, **more):
    """Run the example until it is ready, and stop it at the end."""
    example = Example(folder, *options, **more)
    try:
        example.wait_until_it_prints(READY)
        yield example
    finally:
        if example.process.poll() is None:
            example.send(signal.SIGTERM)
        example.wait()
