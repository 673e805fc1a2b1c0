"""
Eight worker processes and an object store that is 50 ms away, against the store's own rate.

The store's own rate is that of eight processes that do nothing but save files to it. The task that
is written by hand shows what a worker can reach that also reads and writes a row.
"""

import multiprocessing
import uuid
from contextlib import ExitStack

from django.core.files.base import ContentFile
from django.core.files.storage import storages

from . import images
from .processes import Distance, ObjectStore, Worker
from .project.settings import object_store
from .rounds import interleave, stopwatch
from .worker_speed import drains

#: The storage of each process that only saves.
_storage = None

PROCESSES = 8
SECONDS = 0.05


def measure(results, places, size, uploads, rounds, progress):
    """Save that many uploads in each way, in turn."""
    data, chosen = images.image(size), {"database": places.database, "staging": "files"}
    with ExitStack() as stack:
        store = stack.enter_context(ObjectStore(places))
        distance = stack.enter_context(Distance(places, f"127.0.0.1:{store.port}", SECONDS))
        s3 = f"http://127.0.0.1:{distance.port}"
        stack.enter_context(places.use(**chosen))
        worker = stack.enter_context(Worker(places, PROCESSES, **chosen, s3=s3))
        fork = multiprocessing.get_context("fork")
        pool = fork.Pool(PROCESSES, _open, (s3,))
        # Not terminate(): a process that it ends may have the lock for which another one waits.
        stack.callback(pool.join)
        stack.callback(pool.close)
        cases = drains(places, worker, places.database, data, uploads) | {
            "the store's own, files/s": lambda: _save_all(pool, data, uploads),
        }
        interleave(results, ("object-store", images.label(size)), cases, rounds, progress)


def _save_all(pool, data, uploads):
    with stopwatch() as watch:
        pool.map(_save, [data] * uploads, chunksize=1)
    return uploads / watch.seconds


def _open(url):
    global _storage
    _storage = storages.create_storage(object_store(url))


def _save(data):
    _storage.save(f"photos/{uuid.uuid4().hex}.jpeg", ContentFile(data))
