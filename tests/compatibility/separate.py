"""Runs the cases of a library in a separate project, because its settings need a whole project."""

import os
import subprocess
import sys
from pathlib import Path

from tests.project.settings import PREFIX

ROOT = Path(__file__).parent.parent.parent


def run(project):
    """
    Run ``cases.py`` of a project in this folder, in a new process with its own databases.

    Some cases can be run by hand: ``pytest tests/compatibility/PROJECT/cases.py --ds
    tests.compatibility.PROJECT.settings``.
    """
    environment = {**os.environ, "TEST_PREFIX": f"{PREFIX}{project}_"}
    environment.pop("TEST_DATA")  # So it makes and removes its own folder.
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    command = [sys.executable, "-m", "pytest", f"tests/compatibility/{project}/cases.py"]
    command += ["--ds", f"tests.compatibility.{project}.settings", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    print(done.stdout.decode(errors="replace"))  # Shown when the test has failed.
    assert done.returncode == 0, f"{project}/cases.py failed, see above"
