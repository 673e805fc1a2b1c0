"""Kombu's broker in a folder, whose workers never read a half-written message."""

import os
import tempfile
from pathlib import Path

from kombu.transport import TRANSPORT_ALIASES, filesystem


class Channel(filesystem.Channel):
    """Writes a message elsewhere, and moves it into the folder when it is complete."""

    _writing_to = None

    @property
    def data_folder_out(self):
        return self._writing_to or super().data_folder_out

    def _put(self, queue, payload, **kwargs):
        target = Path(self.data_folder_out)
        with tempfile.TemporaryDirectory(dir=self.control_folder) as self._writing_to:
            super()._put(queue, payload, **kwargs)
            for message in Path(self._writing_to).iterdir():
                os.replace(message, target / message.name)
        self._writing_to = None


class Transport(filesystem.Transport):
    """The transport of ``filesystem://`` in the tests."""

    Channel = Channel


TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"
