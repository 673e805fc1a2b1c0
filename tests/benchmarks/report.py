"""The report: each target with its measured value, and one table of all values."""

import csv
import platform
import statistics
from dataclasses import dataclass
from importlib.metadata import version

import django_async_forms
from tests.faults.record import commit, today

MIB = 2**20


@dataclass(frozen=True)
class Target:
    """A target. ``measured`` is None if it was not measured."""

    what: str
    at: str
    limit: float
    measured: float | None
    is_met: bool
    unit: str = "times"

    @property
    def target(self):
        return f"{self.at} {self.limit:g} {self.unit}"

    @property
    def found(self):
        return "not measured" if self.measured is None else f"{self.measured:.2f} {self.unit}"

    @property
    def verdict(self):
        return "" if self.measured is None else "met" if self.is_met else "missed"


def _at_most(what, limit, measured, unit="times"):
    met = measured is not None and measured <= limit
    return Target(what, "at most", limit, measured, met, unit)


def _at_least(what, limit, measured, unit="times"):
    met = measured is not None and measured >= limit
    return Target(what, "at least", limit, measured, met, unit)


def targets(results):
    """Return every target that was measured."""
    parts = (_hand_off, _worker, _silent_broker, _load, _rows, _object_store, _start_up, _others)
    found = [target for part in parts for target in part(results)]
    return [target for target in found if target.measured is not None]


def _hand_off(results):
    def ratio(size, case, below):
        what = "difference", "hand-off", size
        return results.ratio((*what, case), (*what, below))

    for staging, limits in (
        ("files", {"100 KB": 1, "1 MB": 1, "5 MB": 1, "20 MB": 1}),
        ("database", {"100 KB": 1.5, "1 MB": 1.5}),
    ):
        for size, limit in limits.items():
            what = f"hand-off, {staging}, {size}, against by hand"
            yield _at_most(what, limit, ratio(size, staging, "by hand"))
    request = "request", "5 MB"
    yield _at_most(
        "request, 5 MB, files, to the answer's last byte, against by hand",
        1,
        results.ratio((*request, "files"), (*request, "by hand")),
    )
    yield _at_most(
        "hand-off, database, 5 MB, against the same rows by psycopg",
        1.2,
        ratio("5 MB", "database", "the same rows by psycopg"),
    )
    for staging, limit in (("files", 0.5), ("database", 1)):
        for size in ("100 KB", "1 MB", "5 MB", "20 MB"):
            yield _at_most(
                f"hand-off, {staging}, {size}, with a draft, against by hand",
                limit,
                ratio(size, f"{staging}, a draft", "by hand, validated"),
            )


#: The least ratios to the task that is written by hand, by staging and size.
_DRAINED = {
    "files": {"100 KB": 0.6, "1 MB": 0.9, "5 MB": 1, "20 MB": 1},
    "database": {"100 KB": 0.55, "1 MB": 0.55, "5 MB": 0.7, "20 MB": 0.7},
}
_NEAR, _DISTANT = "worker", "worker, database 1 ms away"


def _drained(results, where, size, staging):
    prefix = where, size, staging
    return results.ratio((*prefix, "uploads/s"), (*prefix, "by hand/s"))


def _worker(results):
    for staging, limits in _DRAINED.items():
        for size, limit in limits.items():
            what = f"drained, {staging}, {size}, against by hand"
            yield _at_least(what, limit, _drained(results, _NEAR, size, staging))
    for staging in _DRAINED:
        what = f"drained, {staging}, 100 KB, database 1 ms away, against by hand"
        yield _at_least(what, 0.6, _drained(results, _DISTANT, "100 KB", staging))


def _silent_broker(results):
    for case in ("broker silent", "broker silent, always asked"):
        ratio = results.ratio(
            ("silent-broker", "100 KB", case), ("silent-broker", "100 KB", "broker up")
        )
        yield _at_most(f"request, 100 KB, {case}, against broker up", 1.05, ratio)


def _load(results):
    def p99(size, case):
        values = results.get(("load", size, case))
        return values and percentiles(values)[2]

    def ratio(size, case, below):
        above, below = p99(size, case), p99(size, below)
        return above / below if above and below else None

    for size in ("100 KB", "1 MB"):
        for staging in ("files", "database"):
            for below in ("received and discarded", "saved without the image", "by hand"):
                what = f"16 clients, p99, {size}, {staging}, against {below}"
                yield _at_most(what, 1.3, ratio(size, staging, below))
        for staging in ("files", "database"):
            what = f"16 clients, p99, {size}, {staging}, with drafts, against no image"
            yield _at_most(what, 1.3, ratio(size, f"{staging}, a draft", "no image"))


def _rows(results):
    for what in ("upload", "claim", "task", "status", "admin list"):
        ratio = results.ratio(("rows", f"{what}, 1000000 rows"), ("rows", f"{what}, 100 rows"))
        yield _at_most(f"{what}, 1,000,000 rows against 100", 1.2, ratio)


def _object_store(results):
    prefix = "object-store", "1 MB"
    ratio = results.ratio((*prefix, "uploads/s"), (*prefix, "the store's own, files/s"))
    yield _at_least("object store 50 ms away, 8 processes, against its own rate", 0.97, ratio)


def _start_up(results):
    started, without = (
        results.median("start-up", case) for case in ("with the package", "without it")
    )
    above = None if started is None else (started - without) * 1000
    yield _at_most("start-up above Django and Celery", 15, above, "ms")


def _others(results):
    """The targets that came before those against the task that is written by hand."""

    def hand_off(size, case, below_size, below):
        what = "difference", "hand-off"
        return results.ratio((*what, size, case), (*what, below_size, below))

    for size in ("5 MB", "20 MB", "200 MB"):
        least = "write or rename, fsync and insert"
        yield _at_most(
            f"hand-off, files, {size}, against {least}",
            1.5,
            hand_off(size, "files", size, least),
        )
    for case in ("files", "files as they arrive", "files, no fsync"):
        ratio = hand_off("200 MB", case, "5 MB", case)
        yield _at_most(f"hand-off, {case}, 200 MB against 5 MB", 1.3, ratio)
    for case, limit in (("files", 20), ("files as they arrive", 20), ("database", 2)):
        ratio = hand_off("5 MB", "pickle in the message", "5 MB", case)
        yield _at_least(f"hand-off, 5 MB, pickle in the message against {case}", limit, ratio)
    for case in ("files", "files as they arrive"):
        ratio = results.ratio(("request", "5 MB", case), ("request", "5 MB", _VALIDATED))
        yield _at_most(f"request, 5 MB, {case} against {_VALIDATED}", 1.15, ratio)
    for case in ("files", "database"):
        plain = "plain, 200 ms away"
        ratio = results.ratio(("request", "5 MB", plain), ("request", "5 MB", case))
        yield _at_least(f"request, 5 MB, {plain} against {case}", 5, ratio)
    for staging in ("files", "database"):
        for answer in ("redirect", "page"):
            for size in ("100 KB", "1 MB", "5 MB", "20 MB", "200 MB"):
                prefix = "claim", size, staging
                ratio = results.ratio(
                    (*prefix, f"{answer}, a draft"), (*prefix, f"{answer}, no image")
                )
                what = f"claim, {answer}, {staging}, {size}, against no image"
                yield _at_most(what, 1.15, ratio)
    browser = "browser", "5 MB"
    yield _at_most(
        "Save at 2 Mbit/s, 5 MB sent before, against no image",
        1.15,
        results.ratio((*browser, "a draft"), (*browser, "no image")),
    )
    yield _at_least(
        "Save at 2 Mbit/s, 5 MB with the form against 5 MB sent before",
        10,
        results.ratio((*browser, "the image with the form"), (*browser, "a draft")),
    )
    for staging in ("files", "database"):
        for process in ("web", "worker"):
            peaks = [
                results.median("memory", staging, size, process) for size in ("200 MB", "1 MB")
            ]
            above = None if None in peaks else (peaks[0] - peaks[1]) / MIB
            what = f"memory of {process}, {staging}, 200 MB above 1 MB"
            yield _at_most(what, 8, above, "MiB")
    for broker in ("redis", "rabbitmq"):
        size = results.median("message", "5 MB", broker)
        yield _at_most(f"message of one upload in {broker}", 1024, size, "bytes")


_VALIDATED = "parse and validate only"


def percentiles(values):
    """Return p50, p95 and p99. With few values, the last two are the largest value."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[94], cuts[98]


def rows(results):
    """Return each measurement as (what, median, first quartile, third quartile, unit)."""
    for what in results:
        scale, unit = _unit(what)
        median, (first, third) = results.median(*what), results.spread(*what)
        yield " · ".join(what), median * scale, first * scale, third * scale, unit


def _unit(what):
    if what[-1].endswith("/s"):
        return 1, "/s"
    return {"memory": (1 / MIB, "MiB"), "message": (1, "bytes")}.get(what[0], (1000, "ms"))


def table(results, targets):
    """Return the whole report as text."""
    lines = [f"{'measured':<78} {'median':>9} {'quartiles':>21}"]
    for what, median, first, third, unit in rows(results):
        lines.append(f"{what:<78} {median:9.2f} {f'{first:.2f} to {third:.2f}':>21} {unit}")
    lines.append(f"\n{'requests':<78} {'p50':>9} {'p95':>9} {'p99':>9}")
    for what, values in results.items():
        if what[0] in ("load", "request"):
            cuts = " ".join(f"{value * 1000:9.2f}" for value in percentiles(values))
            lines.append(f"{' · '.join(what):<78} {cuts} ms")
    lines.append(f"\n{'target':<78} {'aim':<18} {'measured':<16}")
    for target in targets:
        lines.append(f"{target.what:<78} {target.target:<18} {target.found:<16} {target.verdict}")
    return "\n".join(lines)


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
    _write(
        folder / "performance-targets.csv",
        ["What", "Target", "Measured", ""],
        [[t.what, t.target, t.found, t.verdict] for t in targets],
    )
    _write(
        folder / "performance-values.csv",
        ["What", "Median", "Quartiles", ""],
        [
            [what, f"{median:.2f}", f"{first:.2f} to {third:.2f}", unit]
            for what, median, first, third, unit in rows(results)
        ],
    )


#: The ratios of the series: a name, and the target whose value it keeps.
SERIES = {
    "hand-off, files, 1 MB": "hand-off, files, 1 MB, against by hand",
    "hand-off, database, 1 MB": "hand-off, database, 1 MB, against by hand",
    "hand-off, a draft, 1 MB": "hand-off, files, 1 MB, with a draft, against by hand",
    "drained, files, 100 KB": "drained, files, 100 KB, against by hand",
    "drained, database, 100 KB": "drained, database, 100 KB, against by hand",
    "drained, database 1 ms away": "drained, files, 100 KB, database 1 ms away, against by hand",
    "16 clients, files, 1 MB": "16 clients, p99, 1 MB, files, against received and discarded",
    "16 clients, drafts, 1 MB": "16 clients, p99, 1 MB, files, with drafts, against no image",
    "upload, 1,000,000 rows": "upload, 1,000,000 rows against 100",
    "object store, 8 processes": "object store 50 ms away, 8 processes, against its own rate",
}


def keep_series(results, path):
    """Write the ratios of this version into the series, in place of earlier ones of it."""
    found = {target.what: target.measured for target in targets(results)}
    this = django_async_forms.__version__
    ratios = [f"{found[what]:.2f}" if what in found else "" for what in SERIES.values()]
    kept = [row for row in read_series(path) if row["Version"] != this]
    head = ["Version", "Date", "Commit", *SERIES]
    _write(
        path,
        head,
        [
            *([row.get(name, "") for name in head] for row in kept),
            [this, today(), f"``{commit()}``", *ratios],
        ],
    )


def read_series(path):
    """Return the series, a dict for each version."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _write(path, head, lines):
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *lines])
