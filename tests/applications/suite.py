"""
Runs an application's own tests of images as they are, and with the package under it.

Usage: python -m tests.applications.suite APPLICATION [LABEL ...]

As in ``tests/django_suites``, every ``save()`` of a model with file fields works as after a form,
and the worker's part follows at once. An image is staged if it replaces another one. Both runs must
have the same results, except for the tests in ``differences.txt``.
"""

import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from tests.django_suites.compare import compare, show
from tests.django_suites.differences import ROOT, read_differences
from tests.django_suites.suite import PACKAGE_APPS

HERE = Path(__file__).parent

#: What is run of each application. Oscar and Filer have no tests in their distributions that can be
#: run, and no test of Photologue's replaces an image.
SUITES = {"wagtail": ["wagtail.images", "wagtail.documents"]}


def apps():
    """Return the apps that a suite's settings add for the run with the package."""
    return [] if "SUITES_PLAIN" in os.environ else PACKAGE_APPS


def run(name, labels, *, plain):
    """Run the tests in a new process; return their recorded results."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.json")
        environment = {
            **os.environ,
            "SUITES_RESULTS": str(results),
            "SUITES_MEDIA": str(Path(folder, "media")),
            "SUITES_WHEN": "replacing",
            "DJANGO_SETTINGS_MODULE": f"tests.applications.{name}.suite",
            "PYTHONPATH": str(ROOT),
            **({"SUITES_PLAIN": "1"} if plain else {}),
        }
        # The tests read files by their path from where the application is installed.
        where = Path(find_spec(name).origin).parents[1]
        done = subprocess.run(
            [sys.executable, "-m", "django", "test", "--noinput", *labels],
            cwd=where,
            env=environment,
            capture_output=True,
            text=True,
        )
        if not results.exists():
            sys.exit(f"{done.stdout}{done.stderr}\nThe tests did not run.")
        return json.loads(results.read_text())


def main():
    name, *labels = sys.argv[1:]
    differences, wrong = read_differences("sqlite", name, HERE / "differences.txt")
    plain, mixed = (run(name, labels or SUITES[name], plain=plain) for plain in (True, False))
    wrong += compare(plain, mixed, differences)
    if not mixed["attached"]:
        wrong.append("No upload was attached, so this run has shown nothing.")
    show(f"{name}'s own tests", plain, mixed, differences, wrong)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
