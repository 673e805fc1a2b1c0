"""
Run Django's suites without the package and with it, and compare the results.

Usage: python -m tests.django_suites FOLDER [--quick] [LABEL ...]

FOLDER is the folder ``tests`` of the installed Django's source. The results without the package are
kept in the folder ``results`` next to that source, so that run is made only once.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import django

from .compare import compare, show
from .differences import read_differences
from .suites import QUICK, SUITES

HERE = Path(__file__).parent


def run(folder, labels, results, *, plain):
    """Run suites in a new process; return their recorded results."""
    command = [sys.executable, "-m", f"{__package__}.suite", str(folder), "--results", str(results)]
    process = subprocess.run(
        [*command, *(["--plain"] if plain else []), *labels], capture_output=True, text=True
    )
    if not results.exists():
        sys.exit(f"{process.stdout}{process.stderr}\nThe suites did not run.")
    return json.loads(results.read_text())


def run_plain(folder, labels, database):
    """Return the results without the package. They are kept until the source changes."""
    own_files = [HERE / name for name in ("suite.py", "settings.py", "storages.py")]
    key = [django.__version__, sys.version, database, os.getuid(), labels]
    key += [path.read_text() for path in own_files]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    kept = folder.parent.parent / "results" / f"{django.__version__}-{database}-{digest}.json"
    kept.parent.mkdir(exist_ok=True)
    if not kept.exists():
        part = kept.with_suffix(f".{os.getpid()}")
        run(folder, labels, part, plain=True)
        part.rename(kept)
    return json.loads(kept.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("labels", nargs="*")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_intermixed_args()
    folder = options.folder.resolve()
    labels = options.labels or (QUICK if options.quick else SUITES)
    database = os.environ.get("SUITES_DATABASE", "sqlite")
    differences, wrong = read_differences(database, ".".join(django.__version__.split(".")[:2]))
    start = time.monotonic()
    plain = run_plain(folder, labels, database)
    between = time.monotonic()
    recorded = folder.parent.parent / "results" / f"with-{os.getpid()}.json"
    try:
        mixed = run(folder, labels, recorded, plain=False)
    finally:
        recorded.unlink(missing_ok=True)
    end = time.monotonic()
    wrong += compare(plain, mixed, differences)
    if not options.labels and not mixed["attached"]:
        wrong.append("No upload was attached, so this run has shown nothing.")
    seconds = f"{between - start:.0f} s without the package, {end - between:.0f} s with it"
    show(f"Django {django.__version__}, {database}, {seconds}", plain, mixed, differences, wrong)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
