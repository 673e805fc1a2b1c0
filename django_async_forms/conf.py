"""The ASYNC_FORMS setting: every key, its unit and its default."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.module_loading import import_string
from PIL import Image


class AsyncFormsSettings(NamedTuple):
    """The keys of ``ASYNC_FORMS``, with their defaults. All times are in seconds."""

    #: How many attempts workers make before an upload is failed.
    MAX_ATTEMPTS: int = 12
    #: The pause after the first failed attempt. It doubles after each further one.
    RETRY_PAUSE: float = 2
    #: The longest pause between two attempts.
    MAX_RETRY_PAUSE: float = 600
    #: How long to wait for a connection to the broker, and for each of its answers.
    PUBLISH_TIMEOUT: float = 0.5
    #: How long a process sends nothing after the broker has not answered. ``recover_uploads`` sends
    #: those messages.
    PUBLISH_PAUSE: float = 5
    #: How long after its last message or attempt ``recover_uploads`` sends a pending upload again.
    RESEND_AFTER: float = 120
    #: How long a failed upload is kept for an operator to retry.
    KEEP_FAILED: float = 30 * 24 * 3600
    #: How old an abandoned staged file must be before it is removed. An abandoned name in the final
    #: storage is reserved for as long.
    KEEP_ABANDONED: float = 24 * 3600
    #: How many uploads ``recover_uploads`` reads at a time, and how many failed uploads, drafts and
    #: staged files one run looks at.
    RECOVER_BATCH: int = 1000
    #: How long after its rendering a page may ask for the status of its images.
    STATUS_MAX_AGE: float = 3600
    #: How old a pending upload is when its page begins to say that it takes longer than usual.
    SLOW_AFTER: float = 30
    #: The largest file that a form accepts, in bytes. Defaults to no limit.
    MAX_BYTES: int | None = None
    #: The largest image that a form accepts, in pixels: width times height, added up over all of
    #: its frames or pages. Defaults to Pillow's own limit, which holds for each frame.
    MAX_PIXELS: int | None = None
    #: The formats that a form accepts, by Pillow's names, such as ``["JPEG", "PNG", "WEBP"]``.
    #: Defaults to all that Pillow reads.
    FORMATS: Sequence[str] | None = None
    #: How many uploads, pending or failed, and drafts one database may hold before forms refuse
    #: more. Defaults to no limit.
    MAX_BACKLOG: int | None = None
    #: How long a draft is kept after its last byte has arrived, or after a form has last shown it.
    KEEP_DRAFTS: float = 24 * 3600
    #: How many drafts one sender may have.
    MAX_DRAFTS: int | None = 100
    #: How many bytes the drafts of one sender may have.
    MAX_DRAFT_BYTES: int | None = 2 * 1024**3
    #: How many drafts one database may hold.
    MAX_DRAFTS_IN_ALL: int | None = 10_000
    #: How many bytes the drafts of one database may have.
    MAX_DRAFT_BYTES_IN_ALL: int | None = 20 * 1024**3
    #: Whether the person who sent an image is shown it while it is pending.
    SHOW_STAGED: bool = True
    #: Whether a SHA-256 is taken of each image when it is staged. A worker then stores no image
    #: whose bytes have changed since.
    CHECKSUM: bool = True
    #: The dotted path of a class that carries the request's context to the worker: ``capture()``
    #: returns JSON data in the request, ``restore(data)`` is a context manager around the worker's
    #: save. The default preserves the active language and time zone.
    CONTEXT: str = "django_async_forms.context.RequestContext"
    #: The dotted path of a class that sends messages to workers: ``publish(upload)`` sends one, and
    #: ``in_background`` tells whether a background thread calls it. The default sends them by
    #: Celery.
    DELIVERY: str = "django_async_forms.celery_delivery.CeleryDelivery"
    #: The dotted paths of functions that observe uploads: ``observe(step, upload)`` returns a
    #: context manager around the step ``"stage"`` in the request, or ``"attach"`` in the worker.
    TELEMETRY: Sequence[str] = ()


#: The keys whose values are counts, so whole numbers. The other numbers are seconds.
_WHOLE = {
    "MAX_ATTEMPTS",
    "RECOVER_BATCH",
    "MAX_BYTES",
    "MAX_PIXELS",
    "MAX_BACKLOG",
    "MAX_DRAFTS",
    "MAX_DRAFT_BYTES",
    "MAX_DRAFTS_IN_ALL",
    "MAX_DRAFT_BYTES_IN_ALL",
}
#: The keys for which None means that there is no limit.
_UNLIMITED = {*_WHOLE, "FORMATS"} - {"MAX_ATTEMPTS", "RECOVER_BATCH"}
#: The keys that are on or off.
_SWITCHES = {"SHOW_STAGED", "CHECKSUM"}
#: The keys whose values are dotted paths of classes, with what each class has.
_CLASSES = {"CONTEXT": ("capture", "restore"), "DELIVERY": ("publish", "in_background")}
#: A hundred years in seconds. A date with a much longer time added to it overflows.
_LONGEST = 100 * 365 * 24 * 3600
#: A pebibyte. No upload is larger.
_MOST = 2**50


@cache
def conf() -> AsyncFormsSettings:
    """
    Return the project's ``ASYNC_FORMS`` over the defaults.

    The setting is read and validated once, and again after Django's ``setting_changed``, which
    ``override_settings()`` sends. Raises ``ImproperlyConfigured`` for an unknown key and for a
    value that cannot be used.
    """
    given = getattr(settings, "ASYNC_FORMS", {})
    if not isinstance(given, dict):
        raise ImproperlyConfigured(f"ASYNC_FORMS is {given!r}. Set it to a dict.")
    known = AsyncFormsSettings._fields
    for key, value in given.items():
        if key not in known:
            raise ImproperlyConfigured(
                f"ASYNC_FORMS has no key {key!r}. Its keys are {', '.join(sorted(known))}."
            )
        if value is None and key in _UNLIMITED:
            continue
        if key in _SWITCHES:
            if not isinstance(value, bool):
                raise ImproperlyConfigured(
                    f"ASYNC_FORMS[{key!r}] is {value!r}. Set it to True or False."
                )
            continue
        if key == "FORMATS":
            _check_formats(value)
            continue
        if key in _CLASSES:
            _check_class(key, value)
            continue
        if key == "TELEMETRY":
            _check_telemetry(value)
            continue
        numbers, most = (int, _MOST) if key in _WHOLE else ((int, float), _LONGEST)
        if (
            isinstance(value, bool)
            or not isinstance(value, numbers)
            or not 0 < value <= most  # This refuses NaN as well.
        ):
            kind = "whole number" if key in _WHOLE else "number"
            raise ImproperlyConfigured(
                f"ASYNC_FORMS[{key!r}] is {value!r}. Set it to a {kind} above zero and at most "
                f"{most:,}."
            )
    return AsyncFormsSettings(**given)


@receiver(setting_changed)
def _read_again(*, setting: str, **kwargs: Any) -> None:
    if setting == "ASYNC_FORMS":
        conf.cache_clear()


def _check_formats(value: object) -> None:
    # Pillow imports its plugins when they are needed. Import all of them.
    Image.init()
    known = sorted(Image.OPEN)
    if not isinstance(value, (list, tuple)) or not value or any(n not in known for n in value):
        raise ImproperlyConfigured(
            f'ASYNC_FORMS["FORMATS"] is {value!r}. Set it to a list of formats that Pillow reads: '
            f"{', '.join(known)}."
        )


def _check_class(key: str, value: object) -> None:
    names = _CLASSES[key]
    try:
        if not isinstance(value, str):
            raise TypeError("it is not a string")
        found = import_string(value)
        if not isinstance(found, type):
            raise TypeError("it is not a class")
        missing = [name for name in names if not hasattr(found, name)]
        if missing:
            raise TypeError(f"it has no {missing[0]}")
    except Exception as error:  # The module is the project's, and may raise anything.
        raise ImproperlyConfigured(
            f'ASYNC_FORMS["{key}"] is {value!r}. Set it to the dotted path of a class with '
            f"{' and '.join(names)} ({error})."
        ) from error


def _check_telemetry(value: object) -> None:
    try:
        if not isinstance(value, (list, tuple)):
            raise TypeError("it is not a list")
        for path in value:
            if not callable(import_string(path)):
                raise TypeError(f"{path} is not a function")
    except Exception as error:  # The modules may be the project's, and may raise anything.
        raise ImproperlyConfigured(
            f'ASYNC_FORMS["TELEMETRY"] is {value!r}. Set it to a list of the dotted paths of '
            f"functions ({error})."
        ) from error
