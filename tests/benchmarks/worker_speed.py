"""The worker: the uploads that it saves in a second, and the time for a single upload."""

import time
from contextlib import contextmanager

from django.conf import settings

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload

from . import images
from .processes import Distance, Worker
from .project import by_hand
from .project.models import Photo
from .project.urls import form_class
from .rounds import interleave, stopwatch, wait_until

STAGINGS = ["files", "database"]
#: The bytes of the uploads that a worker finds at most.
LARGEST_BATCH = 100 * images.MB
#: The size of the images while the database is distant, and the round-trip time in seconds.
DISTANT = 100_000
SECONDS = 0.001


def measure(results, places, sizes, uploads, rounds, progress):
    """Measure a worker with one process, with the database here and 1 ms away."""
    database = places.database
    for staging in STAGINGS:
        chosen = {"database": database, "staging": staging}
        with places.use(**chosen):
            with Worker(places, **chosen) as worker:
                for size in sizes:
                    prefix = ("worker", images.label(size), staging)
                    data = images.image(size)
                    few = min(uploads, LARGEST_BATCH // size)
                    cases = drains(places, worker, database, data, few) | {
                        "commit to attached": lambda data=data: _idle(places, data),
                    }
                    interleave(results, prefix, cases, rounds, progress)
            if database == "postgresql":
                prefix = ("worker, database 1 ms away", images.label(DISTANT), staging)
                data = images.image(DISTANT)
                with _distant_worker(places, **chosen) as worker:
                    cases = drains(places, worker, database, data, uploads)
                    interleave(results, prefix, cases, rounds, progress)


@contextmanager
def _distant_worker(places, database, **chosen):
    server = settings.DATABASES[database]
    target = f"{server['HOST']}:{server['PORT'] or 5432}"
    with (
        Distance(places, target, SECONDS) as distance,
        Worker(places, database=database, port=str(distance.port), **chosen) as worker,
    ):
        yield worker


def drains(places, worker, database, data, uploads):
    """Return the two cases that let a worker save a number of uploads: ours, and by hand."""

    def emptied(case):
        value = case(worker, data, uploads)
        places.empty(database)
        return value

    return {
        "uploads/s": lambda: emptied(_drain),
        "by hand/s": lambda: emptied(_drain_by_hand),
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
    """Save uploads while the worker is paused; return how many it then saves in a second."""
    with worker.paused():
        for _ in range(uploads):
            save(data)
    with stopwatch() as watch:
        wait_until(lambda: not Upload.objects.exists(), "all images are attached", pause=0.01)
    return uploads / watch.seconds


def _drain_by_hand(worker, data, uploads):
    with worker.paused():
        for _ in range(uploads):
            uploaded = images.posted(data)
            form = form_class(Photo)({"title": "Dune"}, {"image": uploaded})
            assert form.is_valid(), form.errors
            by_hand.save(form)
            uploaded.close()
    without = Photo.objects.filter(image="")
    with stopwatch() as watch:
        wait_until(lambda: not without.exists(), "all images are attached", pause=0.01)
    return uploads / watch.seconds


def _idle(places, data):
    save(data)
    committed = time.perf_counter()
    wait_until(lambda: not Upload.objects.exists(), "the image is attached", pause=0.0005)
    seconds = time.perf_counter() - committed
    places.empty(places.database)
    return seconds
