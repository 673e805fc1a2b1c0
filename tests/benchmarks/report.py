"""The report: each target with its measured value, and one table of all values."""

import csv
import platform
import statistics
from dataclasses import dataclass
from importlib.metadata import version

from .whole_request import percentiles

DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
MIB = 2**20


@dataclass(frozen=True)
class Target:
    """A target. ``measured`` is None if it was not measured."""

    what: str
    target: str
    measured: float | None
    is_met: bool
    unit: str = "times"

    @property
    def found(self):
        return "not measured" if self.measured is None else f"{self.measured:.2f} {self.unit}"

    @property
    def verdict(self):
        return "" if self.measured is None else "met" if self.is_met else "missed"


def _at_most(what, limit, measured, unit="times"):
    met = measured is not None and measured <= limit
    return Target(what, f"at most {limit:g} {unit}", measured, met, unit)


def _at_least(what, limit, measured, unit="times"):
    met = measured is not None and measured >= limit
    return Target(what, f"at least {limit:g} {unit}", measured, met, unit)


def targets(results):
    """Return every target for every database."""
    found = []
    for database, name in DATABASES.items():
        if any(database in what for what in results):
            found += _hand_off(results, database, name)
            found += _request(results, database, name)
            found += _claim(results, database, name)
            found += _browser(results, database, name)
            found += _worker(results, database, name)
            found += _memory(results, database, name)
            found += _growth(results, database, name)
    for broker in ("redis", "rabbitmq"):
        size = results.median("message", "5 MB", broker)
        found.append(_at_most(f"message of one upload in {broker}", 1024, size, "bytes"))
    started = results.median("start-up", "with the package")
    if started is not None:
        started = (started - results.median("start-up", "without it")) * 1000
    found.append(_at_most("start-up above Django and Celery", 20, started, "ms"))
    return [target for target in found if target.measured is not None]


def _hand_off(results, database, name):
    def case(size, case):
        return "difference", "hand-off", size, database, case

    for staging, limits in (("files", (1, 1, 1)), ("database", (1.5, 1.5, None))):
        for size, limit in zip(("100 KB", "1 MB", "5 MB"), limits, strict=True):
            if limit is not None:
                yield _at_most(
                    f"hand-off, {size}, {staging} in a request against by hand, {name}",
                    limit,
                    results.ratio(
                        case(size, f"{staging}, in a request"), case(size, f"{staging}, by hand")
                    ),
                )
    least = "rename, fsync and insert"
    for size in ("100 KB", "1 MB", "5 MB", "20 MB", "200 MB"):
        for arrives in ("", " as they arrive"):
            yield _at_most(
                f"hand-off, {size}, files{arrives} against {least}, {name}",
                1.5,
                results.ratio(case(size, f"files, on disk{arrives}"), case(size, least)),
            )
    for case_name in ("files, on disk", "files, on disk as they arrive", "files, no fsync"):
        yield _at_most(
            f"hand-off, 200 MB against 5 MB, {case_name}, {name}",
            1.3,
            results.ratio(case("200 MB", case_name), case("5 MB", case_name)),
        )
    for size in ("1 MB", "5 MB", "20 MB"):
        yield _at_most(
            f"hand-off, {size}, database against one binary INSERT, {name}",
            1.3,
            results.ratio(case(size, "database"), case(size, "one binary INSERT")),
        )
    for case_name, limit in (
        ("database", 2),
        ("files, on disk", 20),
        ("files, on disk as they arrive", 20),
        ("files, no fsync", 20),
    ):
        yield _at_least(
            f"hand-off, 5 MB, pickle in the message against {case_name}, {name}",
            limit,
            results.ratio(case("5 MB", "pickle in the message"), case("5 MB", case_name)),
        )


def _request(results, database, name):
    def case(case):
        return "request", "5 MB", database, "1 clients", case

    for staging in ("files", "files as they arrive", "files, no fsync", "files, RabbitMQ"):
        yield _at_most(
            f"request, 5 MB, {staging} against parse and validate only, {name}",
            1.15,
            results.ratio(case(staging), case("parse and validate only")),
        )
    for broker in ("down", "silent"):
        yield _at_most(
            f"request, 5 MB, broker {broker} against broker up, {name}",
            1.15,
            results.ratio(case(f"files, broker {broker}"), case("files")),
        )
    for staging in ("files", "database"):
        yield _at_least(
            f"request, 5 MB, plain Django 200 ms away against {staging}, {name}",
            5,
            results.ratio(case("plain, 200 ms away"), case(staging)),
        )


def _claim(results, database, name):
    for staging in ("files", "database"):
        for answer in ("redirect", "page"):

            def case(size, what, staging=staging, answer=answer):
                return "claim", size, database, staging, f"{answer}, {what}"

            claim = f"claim, {answer}, {staging}, {name}"
            for size in ("100 KB", "1 MB", "5 MB", "20 MB", "200 MB"):
                yield _at_most(
                    f"{claim}: {size} against the form without an image",
                    1.15,
                    results.ratio(case(size, "a draft"), case(size, "no image")),
                )
            yield _at_most(
                f"{claim}: 200 MB against 100 KB",
                1.15,
                results.ratio(case("200 MB", "a draft"), case("100 KB", "a draft")),
            )


def _browser(results, database, name):
    def case(size, case):
        return "browser", size, database, case

    for size in ("1 MB", "5 MB"):
        yield _at_most(
            f"Save at 2 Mbit/s, {size} sent before, against the form without an image, {name}",
            1.15,
            results.ratio(case(size, "a draft"), case(size, "no image")),
        )
    yield _at_least(
        f"Save at 2 Mbit/s, 5 MB with the form against 5 MB sent before, {name}",
        10,
        results.ratio(case("5 MB", "the image with the form"), case("5 MB", "a draft")),
    )


#: The least ratios to the task that is written by hand, by size and staging.
_BY_HAND = {
    ("100 KB", "files"): 0.6,
    ("1 MB", "files"): 0.9,
    ("5 MB", "files"): 1,
    ("20 MB", "files"): 1,
    ("100 KB", "database"): 0.55,
    ("1 MB", "database"): 0.55,
    ("5 MB", "database"): 0.7,
    ("20 MB", "database"): 0.7,
}


def _worker(results, database, name):
    drained = [what for what in results if what[0] == "worker" and what[-1] == "uploads/s"]
    for what in drained:
        _, size, of, staging, way, _ = what
        if of == database:
            yield _at_least(
                f"worker, {size} from {staging}, {way}, against the bare loop, {name}",
                0.8,
                results.ratio(what, (*what[:-1], "bare loop/s")),
            )
            yield _at_least(
                f"worker, {size} from {staging}, {way}, against by hand, {name}",
                _BY_HAND[size, staging],
                results.ratio(what, (*what[:-1], "by hand/s")),
            )


def _memory(results, database, name):
    for staging in ("files", "database"):
        for process in ("web", "worker"):
            prefix = ("memory", database, staging)
            peaks = [results.median(*prefix, size, process) for size in ("200 MB", "1 MB")]
            above = None if None in peaks else (peaks[0] - peaks[1]) / MIB
            what = f"memory of {process}, 200 MB above 1 MB, {staging}, {name}"
            yield _at_most(what, 8, above, "MiB")


def _growth(results, database, name):
    for what in ("upload", "task", "status"):
        ratio = results.ratio(
            ("growth", database, f"{what}, 1000000 pending"),
            ("growth", database, f"{what}, 100 pending"),
        )
        yield _at_most(f"growth, {what}, 1,000,000 pending against 100, {name}", 1.2, ratio)
    sent = results.median("sent", database, "recovery, 1000000 pending")
    yield _at_most(f"growth, one recovery, 1,000,000 pending, {name}", 1000, sent, "sent")


def rows(results):
    """Return each measurement as (what, median, first quartile, third quartile, unit)."""
    for what in results:
        scale, unit = _unit(what)
        median, (first, third) = results.median(*what), results.spread(*what)
        yield " · ".join(what), median * scale, first * scale, third * scale, unit


def _unit(what):
    if what[-1].endswith("/s"):
        return 1, "/s"
    return {"memory": (1 / MIB, "MiB"), "message": (1, "bytes"), "sent": (1, "uploads")}.get(
        what[0], (1000, "ms")
    )


def table(results, targets):
    """Return the whole report as text."""
    lines = [f"{'measured':<78} {'median':>9} {'quartiles':>21}"]
    for what, median, first, third, unit in rows(results):
        lines.append(f"{what:<78} {median:9.2f} {f'{first:.2f} to {third:.2f}':>21} {unit}")
    lines.append(f"\n{'requests':<78} {'p50':>9} {'p95':>9} {'p99':>9}")
    for what, values in results.items():
        if what[0] == "request":
            cuts = " ".join(f"{value * 1000:9.2f}" for value in percentiles(values))
            lines.append(f"{' · '.join(what):<78} {cuts} ms")
    lines.append(f"\n{'target':<78} {'aim':<18} {'measured':<16}")
    for target in targets:
        lines.append(f"{target.what:<78} {target.target:<18} {target.found:<16} {target.verdict}")
    return "\n".join(lines)


def as_json(results, targets):
    """Return the whole report as data for JSON, with every single value."""
    return {
        "machine": machine(),
        "results": {" · ".join(what): values for what, values in results.items()},
        "targets": [
            {
                "what": target.what,
                "target": target.target,
                "measured": target.measured,
                "met": target.is_met,
            }
            for target in targets
        ],
    }


def machine():
    """Return the versions and the machine that the measurements depend on."""
    packages = ("Django", "celery", "psycopg", "redis", "gunicorn")
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def write_csv(results, targets, folder):
    """Write the tables of the documentation."""
    with (folder / "performance-targets.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["What", "Target", "Measured", ""])
        writer.writerows([t.what, t.target, t.found, t.verdict] for t in targets)
    with (folder / "performance-hand-off.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["Hand-off of 5 MB, above the form without it", "Median, ms", "Quartiles"])
        for what, values in results.items():
            if what[:3] == ("difference", "hand-off", "5 MB"):
                first, third = results.spread(*what)
                writer.writerow(
                    [
                        f"{what[-1]} ({DATABASES[what[3]]})",
                        f"{statistics.median(values) * 1000:.1f}",
                        f"{first * 1000:.1f} to {third * 1000:.1f}",
                    ]
                )
