"""
One image of 2 GB through a site and a worker: the time, the memory, and the bytes that arrive.

Usage: python -m tests.benchmarks.largest [--megabytes N] [--output FILE]

Posts a TIFF of many pages to one process of gunicorn with a worker behind it, at the default limits
of ASYNC_FORMS, for each staging storage on PostgreSQL and on MariaDB. Needs five times the size on
the disk.
"""

import argparse
import csv
import hashlib
import http.client
import random
import signal
import struct
import sys
from contextlib import ExitStack
from pathlib import Path

import django

from tests.faults.record import commit, today

from .places import Places
from .processes import ROOT, Web, Worker, forget_peak, multipart, resident
from .rounds import stopwatch, wait_until

MB = 1_000_000
#: The width and height of a page, in grey. Pillow warns of pages above 89 million pixels.
SIDE = 9_000
#: A small image, after which the processes have loaded their modules.
REHEARSAL = MB
#: The time limit of the request, and of the worker after it, on a slow and busy machine.
DEADLINE = 900
CASES = [(d, s) for d in ("postgresql", "mariadb") for s in ("files", "database")]
COLUMNS = ["Database", "Staging", "MB", "Date", "Commit", "Request, s", "Attached after, s"]
COLUMNS += ["Web, MB", "Worker, MB", "Same SHA-256"]


def main():
    parser = argparse.ArgumentParser(prog="tests.benchmarks.largest")
    parser.add_argument("--megabytes", type=int, default=2000)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "data" / "largest.csv")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(1))
    with ExitStack() as stack:
        places = Places()
        stack.callback(places.remove)
        places.enter()
        django.setup()
        form = places.data / "form"
        digest, content_type = _write_form(form, options.megabytes * MB)
        rows = []
        for database, staging in CASES:
            if database in places.databases:
                row = [f"``{database}``", staging, options.megabytes, today(), f"``{commit()}``"]
                rows.append(row)
                row += _measure(places, database, staging, form, content_type, digest)
                print(*(f"{name}: {value}" for name, value in zip(COLUMNS, row, strict=True)))
    with options.output.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    sys.exit(any(row[-1] != "yes" for row in rows))


def _write_form(path, size):
    """Write the body of a form with a TIFF; return the TIFF's SHA-256 and the content type."""
    content_type, body = multipart(b"%", "photo.tiff")
    head, _, tail = body.rpartition(b"%")
    found = hashlib.sha256()
    with path.open("wb") as file:
        file.write(head)
        for part in _tiff(size):
            found.update(part)
            file.write(part)
        file.write(tail)
    return found.hexdigest(), content_type


def _tiff(size):
    """Yield the parts of a TIFF, with as many pages of noise as make about ``size`` bytes."""
    noise, page = random.Random(0), SIDE * SIDE
    pages = max(1, round(size / page))
    # Width, height, bits, no compression, black is 0, where the pixels are, samples, rows, length.
    entries = [(256, SIDE), (257, SIDE), (258, 8), (259, 1), (262, 1), (273, None), (277, 1)]
    entries += [(278, SIDE), (279, page)]
    short, long = 3, 4
    directory = 2 + 12 * len(entries) + 4
    offset = 8
    yield struct.pack("<2sHL", b"II", 42, offset)
    for number in range(pages):
        strip = offset + directory
        following = strip + page if number + 1 < pages else 0
        values = [(tag, strip if value is None else value) for tag, value in entries]
        packed = [
            struct.pack("<HHLL", tag, long if tag in (273, 279) else short, 1, value)
            for tag, value in values
        ]
        yield struct.pack("<H", len(entries)) + b"".join(packed) + struct.pack("<L", following)
        for start in range(0, page, MB):
            yield noise.randbytes(min(MB, page - start))
        offset = strip + page


class PatientWeb(Web):
    """gunicorn that allows a request more time."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._command += ["--timeout", str(DEADLINE)]


def _measure(places, database, staging, form, content_type, digest):
    """Post the form; return the times, the memory above idle in MB, and whether the bytes came."""
    places.make_database(database)
    from . import images
    from .memory import _no_upload_is_left, _wait_until_it_rests
    from .project.models import Photo

    chosen = {"database": database, "staging": staging}
    with (
        places.use(**chosen),
        PatientWeb(places, processes=1, threads=1, **chosen) as web,
        Worker(places, **chosen) as worker,
    ):
        [web_process], [worker_process] = web.children(), worker.children()
        web.post("/async/", *multipart(images.image(REHEARSAL), "photo.jpeg"))
        _wait_until_attached(_no_upload_is_left)
        _wait_until_it_rests(worker_process)
        idle = {pid: resident(pid) for pid in (web_process, worker_process)}
        for pid in idle:
            forget_peak(pid)
        with stopwatch() as request:
            _post(web, content_type, form)
        with stopwatch() as after:
            _wait_until_attached(_no_upload_is_left)
        _wait_until_it_rests(worker_process)
        memory = [(resident(pid, "VmHWM") - idle[pid]) / MB for pid in idle]
        stored = Photo.objects.latest("pk").image
        is_same = _digest(stored) == digest
    places.empty(database)
    seconds = [f"{watch.seconds:.1f}" for watch in (request, after)]
    return [*seconds, *(f"{value:.1f}" for value in memory), "yes" if is_same else "no"]


def _digest(stored):
    found = hashlib.sha256()
    for chunk in stored.chunks():
        found.update(chunk)
    stored.close()
    return found.hexdigest()


def _wait_until_attached(condition):
    wait_until(condition, "the image is attached", pause=0.05, deadline=DEADLINE)


def _post(web, content_type, form):
    """Post a body from a file, which need not fit into memory."""
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=DEADLINE)
    headers = {"Content-Type": content_type, "Content-Length": str(form.stat().st_size)}
    with form.open("rb") as body:
        connection.request("POST", "/async/", body, headers)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    if response.status != 302:
        raise RuntimeError(f"The site answered with {response.status}: {text[:300]!r}")


if __name__ == "__main__":
    main()
