"""Small disks in memory, which can be full. They need root."""

import subprocess
from contextlib import suppress

from .errors import SettingsError

PIECE = 64 * 1024


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
        with self._filler.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(PIECE)):
                pass

    def empty(self):
        """Give the space back."""
        self._filler.unlink(missing_ok=True)

    def close(self):
        subprocess.run(["umount", "--lazy", str(self._folder)], check=False)
