"""
The harness and the processes under test communicate through one folder.

The harness gives an order for a step of the work. The first process that comes to the step takes
it. Processes note each action as a line of JSON, including their last one.
"""

import itertools
import json
import os
import time
from contextlib import suppress
from pathlib import Path

#: The longest wait of a process for the harness, so that no process outlives it.
DEADLINE = 20
#: The row for which a worker and another process wait in an ordered deadlock.
CONTESTED = "SELECT id FROM site_fact ORDER BY id LIMIT 1 FOR UPDATE"


class Orders:
    """Orders and notes in ``folder``."""

    def __init__(self, folder):
        self.folder = Path(folder)
        for name in ("once", "while", "told", "clocks"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._notes = os.open(
            self.folder / "notes", os.O_WRONLY | os.O_CREAT | os.O_APPEND, mode=0o600
        )
        self._numbers = itertools.count()

    # In the harness:

    def give(self, action, step):
        """Order ``action`` for the next process at ``step``; return the order."""
        order = self.folder / "once" / f"{step}~{action}~{next(self._numbers)}"
        order.touch()
        return order

    def withdraw(self, order):
        """Withdraw an order; return whether it was still open."""
        with suppress(FileNotFoundError):
            order.unlink()
            return True
        return False

    def begin(self, action):
        """Order ``action`` until told otherwise."""
        (self.folder / "while" / action).touch()

    def end(self, action):
        """End an action that was begun."""
        (self.folder / "while" / action).unlink(missing_ok=True)

    def set_clock(self, host, seconds):
        """Have the clock of a host jump, so that it is fast by some seconds, or right again."""
        file = self.folder / "clocks" / host
        if seconds:
            file.with_suffix(".new").write_text(str(seconds))
            file.with_suffix(".new").rename(file)
        else:
            file.unlink(missing_ok=True)

    def told(self):
        """Yield the requests of waiting processes as (file, what). Remove the file to answer."""
        for file in (self.folder / "told").glob("*.json"):
            yield file, json.loads(file.read_text())

    def notes(self):
        """Return all notes, in order."""
        return [json.loads(line) for line in (self.folder / "notes").read_text().splitlines()]

    def working(self):
        """Return the ids of processes that work on an upload, or did when they were killed."""
        at_work = {}
        for note in self.notes():
            if note["what"] == "began":
                at_work[note["pid"]] = note["at"]
            elif note["what"] == "ended":
                at_work.pop(note["pid"], None)
        # In a long run, another process gets the id of one that was killed.
        return {pid for pid, at in at_work.items() if _began(pid) < at}

    # In the processes:

    def take(self, step):
        """Return the action that this process has to do at ``step``, or None."""
        for name in sorted(os.listdir(self.folder / "once")):
            if name.startswith(f"{step}~"):
                with suppress(FileNotFoundError):  # Another process was faster.
                    (self.folder / "once" / name).unlink()
                    return name.split("~")[1]
        return None

    def is_on(self, action):
        """Tell whether ``action`` was begun and not ended."""
        return (self.folder / "while" / action).exists()

    def offset(self, host):
        """Return the seconds by which the clock of a host is fast."""
        try:
            return float((self.folder / "clocks" / host).read_text())
        except FileNotFoundError:
            return 0.0

    def note(self, what, **more):
        """Note that ``what`` has happened in this process."""
        line = json.dumps({"what": what, "pid": os.getpid(), "at": time.time(), **more})
        os.write(self._notes, f"{line}\n".encode())

    def tell(self, **what):
        """Tell the harness, and wait until it has acted."""
        file = self.folder / "told" / f"{os.getpid()}-{next(self._numbers)}"
        file.write_text(json.dumps(what))
        told = file.rename(file.with_suffix(".json"))
        latest = time.monotonic() + DEADLINE
        while told.exists() and time.monotonic() < latest:
            time.sleep(0.01)


def _began(pid):
    """Return the time when a process has begun, or infinity if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return float("inf")
    seconds_up = float(Path("/proc/uptime").read_text().split()[0])
    return time.time() - seconds_up + int(fields[19]) / os.sysconf("SC_CLK_TCK")
