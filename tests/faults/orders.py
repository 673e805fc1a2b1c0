"""
How the harness and the processes under test talk: through one folder.

The harness gives orders, for a step of the work; the process that comes to the step first takes
the order. Processes note what they do, a line of JSON each, also the last thing that they do.
"""

import itertools
import json
import os
import time
from contextlib import suppress
from pathlib import Path

#: The longest that a process waits for the harness, so that none outlives it.
DEADLINE = 20
#: A row that a worker and somebody else both want, when a deadlock is ordered.
CONTESTED = "SELECT id FROM site_fact ORDER BY id LIMIT 1 FOR UPDATE"


class Orders:
    """Orders and notes in ``folder``."""

    def __init__(self, folder):
        self.folder = Path(folder)
        for name in ("once", "while", "told"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._notes = os.open(
            self.folder / "notes", os.O_WRONLY | os.O_CREAT | os.O_APPEND, mode=0o600
        )
        self._numbers = itertools.count()

    # In the harness:

    def give(self, action, step):
        """Order ``action`` for whoever comes to ``step`` next; return the order."""
        order = self.folder / "once" / f"{step}~{action}~{next(self._numbers)}"
        order.touch()
        return order

    def withdraw(self, order):
        """Take an order back; return whether it was still there."""
        with suppress(FileNotFoundError):
            order.unlink()
            return True
        return False

    def begin(self, action):
        """Order ``action`` until told otherwise."""
        (self.folder / "while" / action).touch()

    def end(self, action):
        """End what was begun."""
        (self.folder / "while" / action).unlink(missing_ok=True)

    def told(self):
        """Yield what processes have told and wait for, as (file, what); remove the file to go."""
        for file in (self.folder / "told").glob("*.json"):
            yield file, json.loads(file.read_text())

    def notes(self):
        """Return all notes, in order."""
        lines = (self.folder / "notes").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def working(self):
        """Return the ids of the processes that are at an upload, or were when they were killed."""
        at_work = set()
        for note in self.notes():
            if note["what"] == "began":
                at_work.add(note["pid"])
            elif note["what"] == "ended":
                at_work.discard(note["pid"])
        return {pid for pid in at_work if Path(f"/proc/{pid}").exists()}

    # In the processes:

    def take(self, step):
        """Return the action that is ordered for ``step`` and is this process's to do, or None."""
        for name in sorted(os.listdir(self.folder / "once")):
            if name.startswith(f"{step}~"):
                with suppress(FileNotFoundError):  # Another process was faster.
                    (self.folder / "once" / name).unlink()
                    return name.split("~")[1]
        return None

    def is_on(self, action):
        """Tell whether ``action`` was begun and not ended."""
        return (self.folder / "while" / action).exists()

    def note(self, what, **more):
        """Write down that ``what`` has happened in this process."""
        line = json.dumps({"what": what, "pid": os.getpid(), "at": time.time(), **more})
        os.write(self._notes, f"{line}\n".encode())

    def tell(self, **what):
        """Tell the harness, and wait until it has done something about it."""
        file = self.folder / "told" / f"{os.getpid()}-{next(self._numbers)}"
        file.write_text(json.dumps(what))
        told = file.rename(file.with_suffix(".json"))
        latest = time.monotonic() + DEADLINE
        while told.exists() and time.monotonic() < latest:
            time.sleep(0.01)
