"""Firefox, which tests/javascript/firefox.mjs drives in a process of Node."""

import json
import shutil
import subprocess
from functools import partial
from pathlib import Path

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
#: Installs Node and the packages of tests/javascript, once, and runs them.
RUN = Path(__file__).parent.parent / "javascript" / "run"


class FirefoxError(AssertionError):
    """What a call was answered instead of a value."""


class Firefox:
    """A browser with one page at a time: its methods are the calls that firefox.mjs lists."""

    def __init__(self, **preferences):
        driver = RUN.parent / "firefox.mjs"
        self._process = subprocess.Popen(
            [RUN, "node", driver, FIREFOX, json.dumps(preferences)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __getattr__(self, method):
        return partial(self._call, method)

    def _call(self, method, *arguments):
        line = json.dumps({"method": method, "arguments": [*map(_plain, arguments)]})
        print(line, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise FirefoxError(f"{method}: Firefox has ended with {self._process.wait()}")
        answer = json.loads(answer)
        if "error" in answer:
            raise FirefoxError(answer["error"])
        return answer["value"]

    def quit(self):
        """Close the browser and wait for the end of its process."""
        self._process.communicate()


def _plain(value):
    return str(value) if isinstance(value, Path) else value
