"""
A steady load for an hour: what grows that should not.

Usage: tests/benchmarks/run steady [--minutes N] [--rate N] [--output FOLDER]

Posts forms with images to gunicorn at a constant rate, on a PostgreSQL that has autovacuum on. Once
a minute it notes what the processes and the package's tables hold, so a run that was stopped keeps
what it has found. The rows and files of the project, which grow by design, are removed meanwhile.
"""

import argparse
import csv
import itertools
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import django

from .places import Places
from .processes import ROOT, Web, Worker, multipart, resident

#: The tables whose rows come and go.
TABLES = ("upload", "storedchunk", "draft")
#: The seconds between two samples, and the largest growth that counts as flat.
SAMPLE = 60
FLAT = 1.1
#: A measurement grows if it is above both: the ratio, and its own noise in its own unit.
NOISE = {"MB": 8, "": 4}


def main():
    parser = argparse.ArgumentParser(prog="tests/benchmarks/run steady")
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--rate", type=float, default=4, help="uploads in a second")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(1))
    options.output.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        places = Places()
        if places.database != "postgresql":
            sys.exit("A steady load needs PostgreSQL. PGHOST and PGPORT say where it is.")
        stack.callback(places.remove)
        places.enter()
        django.setup()
        places.make_database(places.database)
        _need_autovacuum(places.database)
        samples = _load(places, options, stack)
    _report(samples)
    sys.exit(any(_grows(samples, name) for name in samples[0]))


def _need_autovacuum(database):
    from django.db import connections

    with connections[database].cursor() as cursor:
        cursor.execute("SHOW autovacuum")
        if cursor.fetchone() != ("on",):
            sys.exit("This PostgreSQL has autovacuum off, so its tables grow. Turn it on.")


def _load(places, options, stack):
    """Post at a constant rate and return the samples, one for each minute."""
    chosen = {"database": places.database, "staging": "database"}
    web = stack.enter_context(Web(places, processes=2, threads=4, **chosen))
    worker = stack.enter_context(Worker(places, processes=2, **chosen))
    stack.enter_context(places.use(**chosen))
    from . import images

    small, large = (multipart(images.image(size)) for size in (100_000, images.MB))
    forms = itertools.cycle([small, small, small, large])
    ended = threading.Event()
    stack.callback(ended.set)
    failed = []

    def post(form):
        try:
            web.post("/async/", *form)
        except Exception as error:
            failed.append(error)

    def post_all():
        with ThreadPoolExecutor(8) as pool:
            for number in itertools.count():
                if ended.wait(max(0, began + number / options.rate - time.monotonic())):
                    break
                pool.submit(post, next(forms))

    began = time.monotonic()
    threading.Thread(target=post_all, daemon=True).start()
    samples = []
    with (options.output / "performance-steady.csv").open("w", newline="") as file:
        for minute in range(1, options.minutes + 1):
            ended.wait(max(0, began + minute * SAMPLE - time.monotonic()))
            _remove_what_grows_by_design(began)
            sample = {**_processes("web", web), **_processes("worker", worker), **_database()}
            sample["requests that failed"] = len(failed)
            samples.append(sample)
            if minute == 1:
                csv.writer(file).writerow(["minute", *sample])
            csv.writer(file).writerow([minute, *(f"{value:g}" for value in sample.values())])
            file.flush()
    return samples


def _remove_what_grows_by_design(began):
    """Remove the project's rows and files that are older than a minute."""
    from django.conf import settings

    from .project.models import Photo

    attached = Photo.objects.exclude(image="").order_by("-pk")
    Photo.objects.filter(pk__in=list(attached.values_list("pk", flat=True)[500:])).delete()
    latest = time.time() - SAMPLE
    for path in settings.MEDIA_ROOT.rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file() and path.stat().st_mtime < latest:
                path.unlink()


def _processes(name, parent):
    children = parent.children()
    return {
        f"{name}, memory, MB": sum(resident(pid) for pid in children) / 1e6,
        f"{name}, open files": sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in children),
    }


def _database():
    from django.db import connections

    from django_async_forms.models import Upload

    with connections[Upload.objects.db].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        found = {"connections": cursor.fetchone()[0], "pending": Upload.objects.count()}
        for table in TABLES:
            full = f"django_async_forms_{table}"
            for what, function in (("table", "pg_table_size"), ("indexes", "pg_indexes_size")):
                cursor.execute(f"SELECT {function}(%s)", [full])
                found[f"{table}, {what}, MB"] = cursor.fetchone()[0] / 1e6
    return found


def _highest(samples, name, part):
    """Return the highest value of a third of the run: 0 is the first."""
    third = max(1, len(samples) // 3)
    return max(sample[name] for sample in samples[part * third :][:third])


def _grows(samples, name):
    before, after = (_highest(samples, name, part) for part in (1, 2))
    return after > before * FLAT and after > before + NOISE["MB" if name.endswith("MB") else ""]


def _report(samples):
    print(f"{'highest in each third of the run':36} {'first':>10} {'second':>10} {'last':>10}")
    for name in samples[0]:
        values = " ".join(f"{_highest(samples, name, part):10.1f}" for part in range(3))
        print(f"{name:36} {values}  {'grows' if _grows(samples, name) else ''}")


if __name__ == "__main__":
    main()
