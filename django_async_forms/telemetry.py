"""Calls what ``ASYNC_FORMS["TELEMETRY"]`` names around the two steps of each upload."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Literal

from django.utils.module_loading import import_string

from .conf import conf
from .models import Upload

#: "stage": the request stages the image, before the upload's row is inserted. "attach": a worker
#: makes an attempt at saving it, after ``attempts`` was counted.
Step = Literal["stage", "attach"]


def observed(step: Step, upload: Upload) -> AbstractContextManager[None]:
    """
    Return a context manager around a step, which enters those of the project's observers.

    An observer gets the error of a step by ``__exit__()``. If it raises itself, the step fails.
    """
    paths = conf().TELEMETRY
    return _observed(paths, step, upload) if paths else nullcontext()


@contextmanager
def _observed(paths: Sequence[str], step: Step, upload: Upload) -> Iterator[None]:
    with ExitStack() as stack:
        for path in paths:
            stack.enter_context(import_string(path)(step, upload))
        yield
