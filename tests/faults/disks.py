"""Small disks in memory, which can be full. They need root."""

import os
import subprocess

from .errors import SettingsError


class Disk:
    """A file system of some megabytes in ``folder``."""

    SIZE = 48 * 1024**2

    def __init__(self, folder):
        self._folder = folder
        self._filler = folder / "filler"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={self.SIZE}", "none", str(folder)]
        result = subprocess.run(command, check=False, capture_output=True, text=True)
        if result.returncode:
            raise SettingsError(f"--small-disks: {result.stderr.strip()}")

    def fill(self):
        """Take all of the space that is left."""
        state = os.statvfs(self._folder)
        with self._filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, state.f_bavail * state.f_frsize))

    def empty(self):
        """Give the space back."""
        self._filler.unlink(missing_ok=True)

    def close(self):
        subprocess.run(["umount", "--lazy", str(self._folder)], check=False)
