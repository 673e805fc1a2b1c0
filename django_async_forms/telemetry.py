"""Calls the functions in ``ASYNC_FORMS["TELEMETRY"]`` around the two steps of each upload."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

from django.utils.module_loading import import_string

from .conf import conf
from .models import Upload

logger = logging.getLogger("django_async_forms")

#: "stage": the request stages the image, before the upload's row is inserted. "attach": a worker
#: makes an attempt at saving it, after ``attempts`` was counted.
Step = Literal["stage", "attach"]


def observed(step: Step, upload: Upload) -> AbstractContextManager[None]:
    """
    Return a context manager around a step, which enters those of the project's observers.

    An observer gets the error of a step by ``__exit__()``. One that raises itself is logged, and
    the step goes on: no image depends on who observes it.
    """
    paths = conf().TELEMETRY
    return _observed(paths, step, upload) if paths else nullcontext()


@contextmanager
def _observed(paths: Sequence[str], step: Step, upload: Upload) -> Iterator[None]:
    entered: list[AbstractContextManager[Any]] = []
    for path in paths:
        with _logged(upload):
            observer = import_string(path)(step, upload)
            observer.__enter__()
            entered.append(observer)
    error: BaseException | None = None
    try:
        yield
    except BaseException as raised:
        error = raised
        raise
    finally:
        for observer in reversed(entered):
            with _logged(upload, error):
                if error is None:
                    observer.__exit__(None, None, None)
                else:
                    observer.__exit__(type(error), error, error.__traceback__)


@contextmanager
def _logged(upload: Upload, of_step: BaseException | None = None) -> Iterator[None]:
    """Log what an observer raises, apart from the error of the step, which it passes on."""
    try:
        yield
    except Exception as error:
        if error is not of_step:
            logger.warning("Upload %s: an observer raised: %r", upload.pk, error)
