"""A terminal in which the commands of a page are typed: a shell that is kept."""

import os
import re
import signal
import subprocess

from tests.worker import DEADLINE, wait_until

#: Commands that go on until somebody presses Ctrl-C.
GOES_ON = re.compile(r"python manage\.py runserver\b|celery .*\bworker\b")
#: Printed after each command, with its exit status.
ENDED = "##### ended with"
#: What is another each time: ids (the first part of them), times, and how long something took.
VARIES = (r"\b[0-9a-f]{8}-", r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b", r"\b\d+\.\d+ ?s\b")
#: Reads commands and does them. SIGINT is for what they start, and not for the shell. What waits at
#: the other end of a pipe of this process ends all of it when this process closes it, or is killed.
SHELL = f"""
trap : INT
(trap '' INT; read -r -u "$1"; kill -KILL 0) </dev/null &
while IFS= read -r line; do eval "$line" </dev/null; echo "{ENDED} $?"; done
"""


class Terminal:
    """A shell and what is started in it."""

    def __init__(self, folder, environment, log):
        self._log = log
        self._read = 0
        self._ending = False
        other_end, self._leash = os.pipe()
        with log.open("wb") as output:
            self._shell = subprocess.Popen(
                ["bash", "--norc", "-c", SHELL, "bash", str(other_end)],
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[other_end],
                start_new_session=True,
                # Tests that run in the background ignore it, which no shell can undo.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
                text=True,
            )
        os.close(other_end)

    def type(self, command):
        """Type a command, and wait until it has ended, unless it is one that goes on."""
        if self._ending:
            self._wait_until_ended()
            self._ending = False
        self._read = len(self._printed())
        self._shell.stdin.write(f"{command}\n")
        self._shell.stdin.flush()
        if not GOES_ON.match(command):
            status = self._wait_until_ended()
            assert status == "0", f"{command}: exit status {status}\n{self._unread()}"

    def press_ctrl_c(self):
        """Ask what goes on to end, which it has when the next command is typed."""
        self._read = len(self._printed())
        os.killpg(self._shell.pid, signal.SIGINT)
        self._ending = True

    def expect(self, lines):
        """
        Wait until these lines are printed, after the command or what was expected before.

        ``…`` stands for anything in a line, and a line ``...`` for any lines. Where it is not the
        last one, nothing else is printed.
        """
        pattern = re.compile("".join(map(_pattern, lines)) + r"\Z" * (lines[-1] != "..."))
        try:
            found = wait_until(lambda: pattern.match(self._unread()), "it is printed")
        except AssertionError as error:
            wanted = "\n".join(lines)
            raise AssertionError(f"{error}:\n{wanted}\n\nbut:\n{self._unread()}") from None
        self._read += found.end()

    def close(self):
        """End all that goes on."""
        os.close(self._leash)
        self._shell.wait(DEADLINE)
        self._shell.stdin.close()

    def _printed(self):
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _unread(self):
        return self._printed()[self._read :].partition(ENDED)[0]

    def _wait_until_ended(self):
        def ended():
            assert self._shell.poll() is None, f"The shell has ended:\n{self._unread()}"
            return re.search(f"{ENDED} (.+)\n", self._printed()[self._read :])

        return wait_until(ended, "the command has ended")[1]


def _pattern(line):
    if line == "...":
        return r"(?:.*\n)*?"
    parts = re.split(f"({'|'.join(VARIES)})", line)
    for index, part in enumerate(parts):
        varies = [pattern for pattern in VARIES if re.fullmatch(pattern, part)]
        parts[index] = varies[0] if varies else re.escape(part).replace("…", ".*")
    return "".join(parts) + r"\n"
