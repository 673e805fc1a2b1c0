"""Appends the results of a run to a table of results, which the documentation shows."""

import csv
import math
import subprocess
from datetime import datetime, timezone
from pathlib import Path

from .processes import ROOT

COLUMNS = ("Engines", "Seed", "Date", "Commit", "Uploads", "Faults", "Lost", "Doubled", "Stale")
COLUMNS += ("Rows left", "Staged left", "Orphans")
RECOVERIES = ("Engines", "Seed", "Date", "Commit", "Killed", "Kills", "Images", "Median, s")
RECOVERIES += ("p99, s", "Highest, s")


def record(path, harness, findings):
    """Append a row to the CSV file at ``path``."""
    counts = [findings.lost, findings.doubled, findings.stale]
    counts += [findings.rows_left, findings.staged_left, findings.orphans]
    # As code, which the documentation does not look up in a dictionary.
    row = [f"``{describe(harness)}``", harness.options.seed, today(), f"``{commit()}``"]
    row += [findings.uploads, sum(harness.counts.values()), *map(len, counts)]
    append(path, COLUMNS, row)


def record_recoveries(path, harness, findings):
    """Append a row for each of what was killed in the quiet."""
    for what in ("worker", "child"):
        recoveries = findings.recoveries[what]
        times = [seconds for _, seconds in recoveries]
        row = [f"``{describe(harness)}``", harness.options.seed, today(), f"``{commit()}``", what]
        row += [len({at for at, _ in recoveries}), len(times)]
        row += [f"{quantile(times, part):.1f}" for part in (0.5, 0.99, 1)]
        append(path, RECOVERIES, row)


def quantile(times, part):
    """Return a percentile of the times."""
    return sorted(times)[math.ceil(part * len(times)) - 1] if times else 0.0


def append(path, columns, row):
    """Append a row to a CSV file, which begins with the names of the columns."""
    path = Path(path)
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if is_new:
            writer.writerow(columns)
        writer.writerow(row)


def today():
    return f"{datetime.now(timezone.utc):%Y-%m-%d}"


def describe(harness):
    """Return the options that name the engines, as on the command line, or what settings name."""
    options, engines = harness.options, harness.engines
    if options.settings:
        from django.conf import settings

        broker = "redis" if engines.broker.is_redis else "rabbitmq"
        storages = [settings.ENTRIES[alias]["BACKEND"] for alias in ("default", "async_forms")]
        names = [engines.database.vendor, broker, *(name.rpartition(".")[2] for name in storages)]
        words = [f"--settings with {', '.join(names)}"]
    else:
        words = [f"--database {options.database}", f"--broker {options.broker}"]
        words += [f"--staging {options.staging}"]
    for name in ("isolation", "queue_type", "pooler", "s3", "failover", "replica", "small_disks"):
        value = getattr(options, name)
        if value:
            option = f"--{name.replace('_', '-')}"
            words.append(option if value is True else f"{option} {value}")
    words += ["--hosts"] if options.hosts else []
    words += ["--other-build"] if options.other_build else []
    return " ".join(words)


def commit():
    """Return the last commit that changed the package, with a plus after it if there is more."""
    found = _git("log", "-1", "--format=%h", "--", "django_async_forms")
    return found + ("+" if _git("status", "--porcelain", "--", "django_async_forms") else "")


def _git(*arguments):
    command = ["git", "-C", str(ROOT), *arguments]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    return result.stdout.strip() or "unknown" if result.returncode else result.stdout.strip()
