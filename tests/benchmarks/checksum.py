"""
The price of the checksum: a form and a worker with it, against the same without it.

It is processor time of this process, which other work on the machine changes less than the time
that passes. The database makes no difference to it.
"""

import time
from functools import partial

from django.test import override_settings

from django_async_forms.attach import attach
from django_async_forms.models import Upload

from . import images
from .rounds import interleave, subtract
from .worker_speed import valid_form

#: Where the bytes are staged, and how Django has received them.
WAYS = {
    "files": ("files", images.posted),
    "files, as they arrive": ("files", images.arriving),
    "database": ("database", images.posted),
}


def measure(results, places, sizes, rounds, progress):
    """Measure each half with and without a checksum, in turn."""
    for way, size in ((way, size) for way in WAYS for size in sizes):
        prefix = ("checksum", images.label(size), way)
        cases = {
            f"{half}, {word}": partial(
                _processor_time, places, way, images.image(size), half, is_on
            )
            for half in ("form", "worker")
            for word, is_on in (("with", True), ("without", False))
        }
        interleave(results, prefix, cases, rounds, progress)
        for half in ("form", "worker"):
            subtract(results, prefix, f"{half}, with", f"{half}, without", name=half)


def _processor_time(places, way, data, half, is_on):
    staging, receive = WAYS[way]
    with (
        places.use(places.database, staging=staging),
        override_settings(ASYNC_FORMS={"CHECKSUM": is_on}),
    ):
        uploaded = receive(data)
        form = valid_form(uploaded)
        begun = time.process_time()
        form.save()
        saved = time.process_time()
        uploaded.close()
        (upload,) = Upload.objects.using(places.database)
        before = time.process_time()
        attach(upload)
        seconds = {"form": saved - begun, "worker": time.process_time() - before}
        places.empty(places.database)
    return seconds[half]
