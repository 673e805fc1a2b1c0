"""Notes what real workers do and in which process, and makes them wait or fail on command."""

import os
import signal
import threading
import time
from pathlib import Path

from django.conf import settings
from django.core.files.storage import FileSystemStorage
from django.dispatch import receiver

from django_async_forms.signals import image_failed, image_saved

#: The longest wait of a worker, so that none outlives its test for long.
DEADLINE = 60


class Witness:
    """The notes, and the orders that a test gives to workers; both are files in one folder."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def note(self, what):
        """Note that ``what`` has happened in this process."""
        with (self.folder / "notes").open("a") as file:
            file.write(f"{what} {os.getpid()} {os.getpgid(0)}\n")

    def notes(self, what):
        """Return the (process id, process group id) of each time that ``what`` happened."""
        if not (self.folder / "notes").exists():
            return []
        lines = [line.split() for line in (self.folder / "notes").read_text().splitlines()]
        return [(int(pid), int(group)) for noted, pid, group in lines if noted == what]

    def order(self, what):
        """Tell workers to "hold", "hold-stored" or "fail" until told not to."""
        (self.folder / f"order-{what}").touch()

    def withdraw(self, what):
        """End an order."""
        (self.folder / f"order-{what}").unlink(missing_ok=True)

    def is_ordered(self, what):
        """Tell whether there is an order."""
        return (self.folder / f"order-{what}").exists()

    def obey(self, what):
        """Wait while there is an order to."""
        latest = time.monotonic() + DEADLINE
        while self.is_ordered(what) and time.monotonic() < latest:
            time.sleep(0.02)


def witness():
    """Return the witness of this run."""
    return Witness(settings.DATA / "witness")


class WitnessStorage(FileSystemStorage):
    """A folder that notes each saved file and obeys orders."""

    def _save(self, name, content):
        witness().note("storing")
        witness().obey("hold")
        if witness().is_ordered("fail"):
            witness().note("refused")
            raise OSError("The storage is told to fail.")
        name = super()._save(name, content)
        witness().note("stored")
        witness().obey("hold-stored")
        return name


@receiver(image_saved)
def note_saved(**kwargs):
    witness().note("image_saved")


@receiver(image_failed)
def note_failed(**kwargs):
    witness().note("image_failed")


def _end_with_the_tests():
    os.read(0, 1)  # Not through sys.stdin, whose lock the worker's children would inherit.
    os.killpg(0, signal.SIGKILL)


if "TEST_WORKER" in os.environ:
    # The standard input is a pipe from the tests. It closes when they end, however they end.
    threading.Thread(target=_end_with_the_tests, daemon=True).start()
