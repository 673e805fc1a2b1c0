"""The ASYNC_FORMS setting: every key, its unit and its default."""

from __future__ import annotations

from dataclasses import dataclass, fields

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True)
class AsyncFormsSettings:
    """What a project may set in ``ASYNC_FORMS``; each attribute is a key. All times are seconds."""

    #: How often a worker tries to save an image before the upload counts as failed.
    MAX_ATTEMPTS: int = 12
    #: The pause after the first failed attempt; it doubles with each further one.
    RETRY_PAUSE: float = 2
    #: The longest pause between two attempts.
    MAX_RETRY_PAUSE: float = 600
    #: How long one message to the broker may hold up a request when the broker does not answer.
    PUBLISH_TIMEOUT: float = 0.5
    #: How long after a broker did not answer a process stops asking it, and leaves the sending
    #: to ``recover_uploads``.
    PUBLISH_PAUSE: float = 5
    #: How long a pending upload may be silent before ``recover_uploads`` sends it again.
    RESEND_AFTER: float = 120
    #: How long a failed upload is kept for an operator to retry.
    KEEP_FAILED: float = 30 * 24 * 3600
    #: How old a staged file that no upload owns must be before it is removed.
    KEEP_UNOWNED: float = 24 * 3600
    #: How many uploads, and how many staged files, one run of ``recover_uploads`` looks at.
    RECOVER_BATCH: int = 1000


#: Numbers of things; all others are seconds.
_WHOLE = {"MAX_ATTEMPTS", "RECOVER_BATCH"}
#: A hundred years in seconds: what comes after it cannot be added to a date for long.
_LONGEST = 100 * 365 * 24 * 3600


def conf() -> AsyncFormsSettings:
    """
    Return the project's ``ASYNC_FORMS`` over the defaults.

    Raises ``ImproperlyConfigured`` for a key that does not exist and for a value that is no
    positive number, or no whole one where a number of things is meant.
    """
    given = getattr(settings, "ASYNC_FORMS", {})
    if not isinstance(given, dict):
        raise ImproperlyConfigured(f"ASYNC_FORMS is {given!r}. Set it to a dict.")
    known = {field.name: field.default for field in fields(AsyncFormsSettings)}
    for key, value in given.items():
        if key not in known:
            raise ImproperlyConfigured(
                f"ASYNC_FORMS has no key {key!r}. Its keys are {', '.join(sorted(known))}."
            )
        numbers = int if key in _WHOLE else (int, float)
        if (
            isinstance(value, bool)
            or not isinstance(value, numbers)
            or not 0 < value <= _LONGEST  # Which leaves out NaN as well.
        ):
            kind = "whole number" if key in _WHOLE else "number"
            raise ImproperlyConfigured(
                f"ASYNC_FORMS[{key!r}] is {value!r}. Set it to a {kind} above zero and at most "
                f"{_LONGEST:,}."
            )
    return AsyncFormsSettings(**given)
