"""
Runs a command that ends with whoever started it, however that ends.

``python -m tests.faults.leash COMMAND ...``, with a pipe for its standard input, in a session of
its own: when the pipe is closed, all of the session's processes are killed.
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
