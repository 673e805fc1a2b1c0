"""
Runs a command that ends with the process that started it, however that process ends.

Start ``python -m tests.faults.leash COMMAND ...`` in a new session with a pipe as its standard
input. When the pipe is closed, all processes of the session are killed.
"""

import os
import signal
import subprocess
import sys
import threading


def _end_with_the_starter():
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_starter, daemon=True).start()
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, close_fds=False)
    os._exit(process.wait() and 1)
