"""The worker: the uploads that it saves in a second, and the time for a single upload."""

import os
import tempfile
import time
from itertools import product
from pathlib import Path

from django.core.files.base import File
from django.core.files.storage import default_storage

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload

from . import images
from .processes import Worker
from .project import by_hand
from .project.models import Photo
from .project.tasks import nothing
from .project.urls import form_class
from .rounds import interleave, stopwatch, wait_until

STAGING = ["files", "database"]


def measure(results, places, sizes, uploads, rounds, progress, quick):
    """
    Measure a worker against a loop in one process.

    On each broker, the worker has one process, and then Celery's default: one for each core.
    """
    ways = [(broker, 1) for broker in places.brokers] + [(places.broker.name, os.cpu_count())]
    if quick:
        ways = ways[:1]
    for database, staging, (broker, processes) in product(places.databases, STAGING, ways):
        chosen = {"staging": staging, "broker": broker}
        with (
            places.use(database, **chosen),
            Worker(places, processes, database=database, **chosen) as worker,
        ):
            for size in sizes:
                way = f"{broker}, {processes} processes" if processes > 1 else broker
                prefix = ("worker", images.label(size), database, staging, way)
                data = images.image(size)
                cases = _cases(places, worker, database, broker, staging, data, uploads)
                interleave(results, prefix, cases, rounds, progress)


def _cases(places, worker, database, broker, staging, data, uploads):
    def emptied(case, *arguments):
        def run():
            value = case(*arguments)
            places.empty(database)
            return value

        return run

    return {
        "uploads/s": emptied(_drain, worker, data, uploads),
        "by hand/s": emptied(_drain_by_hand, worker, staging, data, uploads),
        "bare loop/s": emptied(_bare_loop, data, uploads),
        "empty tasks/s": emptied(_empty_tasks, places, broker, worker, 200),
        "commit to attached": emptied(_idle, data),
    }


def valid_form(uploaded):
    """Return a valid form with an image, ready to be saved."""
    form = form_class(Photo, AsyncImageModelForm)({"title": "Dune"}, {"image": uploaded})
    assert form.is_valid(), form.errors
    return form


def save(data):
    """Save a form with an image, as the request does, and return the instance."""
    uploaded = images.posted(data)
    photo = valid_form(uploaded).save()
    uploaded.close()
    return photo


def _drain(worker, data, uploads):
    with worker.paused():
        for _ in range(uploads):
            save(data)
    with stopwatch() as watch:
        wait_until(lambda: not Upload.objects.exists(), "all images are attached", pause=0.02)
    return uploads / watch.seconds


def _drain_by_hand(worker, staging, data, uploads):
    save_by_hand = by_hand.save_with_file if staging == "files" else by_hand.save_with_row
    with worker.paused():
        for _ in range(uploads):
            uploaded = images.posted(data)
            form = form_class(Photo)({"title": "Dune"}, {"image": uploaded})
            assert form.is_valid(), form.errors
            save_by_hand(form)
            uploaded.close()
    without = Photo.objects.filter(image="")
    with stopwatch() as watch:
        wait_until(lambda: not without.exists(), "all images are attached", pause=0.02)
    return uploads / watch.seconds


def _bare_loop(data, uploads):
    """The final storage's ``save()`` with the same files."""
    with tempfile.TemporaryDirectory(dir=default_storage.location) as folder:
        paths = [Path(folder) / f"{number}.jpeg" for number in range(uploads)]
        for path in paths:
            path.write_bytes(data)
        with stopwatch() as watch:
            for path in paths:
                with path.open("rb") as file:
                    default_storage.save(f"photos/{path.name}", File(file))
    return uploads / watch.seconds


def _empty_tasks(places, broker, worker, tasks):
    """Celery's own time for a message and a task that does nothing."""
    with worker.paused():
        for _ in range(tasks):
            nothing.apply_async(("00000000-0000-0000-0000-000000000000", "default"))
    with stopwatch() as watch:
        wait_until(lambda: places.is_drained(broker), "all tasks are done", pause=0.02)
    return tasks / watch.seconds


def _idle(data):
    save(data)
    committed = time.perf_counter()
    wait_until(lambda: not Upload.objects.exists(), "the image is attached", pause=0.0005)
    return time.perf_counter() - committed
