"""Memory: how far the web and worker processes rise above idle for one image of each size."""

import time

from django_async_forms.models import Upload

from . import images
from .processes import Web, Worker, forget_peak, multipart, resident
from .rounds import wait_until

SIZES = [images.MB, 20 * images.MB, 200 * images.MB]


def measure(results, places, sizes, rounds, progress):
    """Post each image ``rounds`` times, to one process of gunicorn with a worker behind it."""
    forms = {size: multipart(images.image(size), "photo.tiff") for size in sizes}
    database = places.database
    for staging in ("files", "database"):
        chosen = {"database": database, "staging": staging}
        with (
            places.use(**chosen),
            Web(places, processes=1, threads=1, **chosen) as web,
            Worker(places, **chosen) as worker,
        ):
            [web_process], [worker_process] = web.children(), worker.children()
            idle = None
            # The first image is a rehearsal, so that modules loaded once do not count.
            for size in [sizes[0], *sorted(sizes * rounds)]:
                progress(f"memory {staging} {images.label(size)}")
                if idle:
                    forget_peak(web_process)
                    forget_peak(worker_process)
                web.post("/async/", *forms[size])
                wait_until(_no_upload_is_left, "the image is attached", pause=0.02)
                _wait_until_it_rests(worker_process)
                if idle is None:
                    idle = resident(web_process), resident(worker_process)
                    continue
                prefix = ("memory", staging, images.label(size))
                results.note(*prefix, "web", value=resident(web_process, "VmHWM") - idle[0])
                results.note(*prefix, "worker", value=resident(worker_process, "VmHWM") - idle[1])
        places.empty(database)


def _no_upload_is_left():
    return not Upload.objects.exists()


def _wait_until_it_rests(pid):
    """Wait until a process is idle: a task ends some time after its commit."""

    def used():
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[11:13]

    seen = [used(), time.monotonic()]

    def rests():
        if used() != seen[0]:
            seen[:] = used(), time.monotonic()
        return time.monotonic() - seen[1] > 0.2

    wait_until(rests, "the worker rests", pause=0.02)
