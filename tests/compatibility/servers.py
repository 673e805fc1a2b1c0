"""Web servers in processes of their own, which a test kills and starts again on the same port."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

from tests.worker import DEADLINE, ROOT, wait_until

#: What starts each server, on a socket that it inherits.
COMMANDS = {
    "gunicorn": [
        *["gunicorn", "django.core.wsgi:get_wsgi_application()", "--workers", "1"],
        *["--worker-class", "gthread", "--threads", "4", "--bind", "fd://{}"],
        "--no-control-socket",
    ],
    "uvicorn": [
        *["uvicorn", "--factory", "django.core.asgi:get_asgi_application"],
        *["--log-level", "warning", "--fd", "{}"],
    ],
}


class Server:
    """The pages of ``tests.drafts``, or of another module, behind a real server."""

    def __init__(self, name, log, urls="tests.drafts", page="/photo/add/"):
        self.name = name
        self.log = log
        self._urls = urls
        self._page = page
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self):
        """Start the server, and wait until it answers."""
        number = self.listener.fileno()
        with self.log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *(part.format(number) for part in COMMANDS[self.name])],
                cwd=ROOT,
                env={
                    **os.environ,
                    "TEST_WORKER": "1",  # It uses the databases of the test.
                    "TEST_URLCONF": self._urls,
                    "DJANGO_SETTINGS_MODULE": "tests.project.settings",
                },
                stdin=subprocess.PIPE,  # It ends with this process, see witness.py.
                stdout=file,
                stderr=subprocess.STDOUT,
                pass_fds=[number],
                start_new_session=True,
            )
        wait_until(self._answers, "the server answers")

    def _answers(self):
        ended = self._process.poll()
        assert ended is None, f"The server has ended with {ended}:\n{self.log.read_text()}"
        with suppress(TimeoutError), urlopen(self.address + self._page, timeout=5) as response:
            return response.status == 200

    def kill(self):
        """Kill all of its processes, as a power cut does."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(DEADLINE)
        self._process.stdin.close()

    def restart(self):
        """Kill the server, and start it again at the same address."""
        self.kill()
        self.start()

    def close(self):
        """Kill the server, and close its address."""
        self.kill()
        self.listener.close()

    def memory(self):
        """Return the most memory that one of its processes has had since it was started."""
        return max(_peak(pid) for pid in self._pids())

    def forget_memory(self):
        """Begin anew to measure the memory."""
        for pid in self._pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def _pids(self):
        """Return its processes: the children do the work, if there are any."""
        parent = self._process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [int(pid) for pid in children] or [parent]


def _peak(pid):
    """Return the most resident memory of a process, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
