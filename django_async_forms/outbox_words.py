"""Puts the facts of an upload into words for the admin."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.template.defaultfilters import filesizeformat, yesno
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import get_language_info, gettext, npgettext_lazy, pgettext

from .codec import from_json
from .conf import conf
from .models import GRACE, Upload, printable
from .outbox_list import LIMIT, Summary, database_query

#: The units of time after "within" and before "ago". Some languages inflect them there.
_UNITS: Any = {
    "year": npgettext_lazy("within, ago", "%(num)d year", "%(num)d years", "num"),
    "month": npgettext_lazy("within, ago", "%(num)d month", "%(num)d months", "num"),
    "week": npgettext_lazy("within, ago", "%(num)d week", "%(num)d weeks", "num"),
    "day": npgettext_lazy("within, ago", "%(num)d day", "%(num)d days", "num"),
    "hour": npgettext_lazy("within, ago", "%(num)d hour", "%(num)d hours", "num"),
    "minute": npgettext_lazy("within, ago", "%(num)d minute", "%(num)d minutes", "num"),
}


def ago(moment: datetime) -> str:
    """Return how long ago a time was."""
    if timezone.now() - moment < timedelta(minutes=1):
        return gettext("less than a minute ago")
    time = timesince(moment, time_strings=_UNITS, depth=1)
    return gettext("%(time)s ago") % {"time": _breakable(time)}


def _breakable(text: str) -> str:
    # Django has a no-break space in "2 hours", so a narrow column would break inside the words.
    return text.replace("\xa0", " ")


def is_overdue(upload: Upload) -> bool:
    """Tell whether recovery should have sent an upload again: ``UploadQuerySet.overdue()``."""
    return upload.state == Upload.State.PENDING and upload.due_at < timezone.now() - GRACE


def next_attempt(upload: Upload) -> str:
    """Return the latest time of the next attempt, provided that recovery runs."""
    if upload.state == Upload.State.FAILED:
        return pgettext("attempt", "none")
    if is_overdue(upload):
        return gettext("overdue")
    if upload.due_at - timezone.now() < timedelta(minutes=1):
        return gettext("within a minute")
    time = timeuntil(upload.due_at, time_strings=_UNITS, depth=1)
    return gettext("within %(time)s") % {"time": _breakable(time)}


def attempts(upload: Upload) -> str:
    """Return the number of attempts and their limit: "2 of 12"."""
    return gettext("%(made)d of %(most)d") % {"made": upload.attempts, "most": conf().MAX_ATTEMPTS}


def attempts_made(upload: Upload) -> str:
    """Return the same for a place without a label: "2 of 12 attempts"."""
    values = {"made": upload.attempts, "most": conf().MAX_ATTEMPTS}
    return gettext("%(made)d of %(most)d attempts") % values


def exact(value: datetime) -> str:
    """Return a time in the format of the language, in the current time zone."""
    is_aware = timezone.is_aware(value)
    return date_format(timezone.localtime(value) if is_aware else value, "DATETIME_FORMAT")


def summary(counts: Summary, using: str) -> Iterator[tuple[str, str, str]]:
    """Yield the entries above the list: a label, a text, and the query string that lists it."""
    shown = [
        (Upload.State.PENDING.label, counts.pending, {"state__exact": "pending"}),
        (Upload.State.FAILED.label, counts.failed, {"state__exact": "failed"}),
        (gettext("overdue"), counts.overdue, {"due": "overdue"}),
    ]
    for label, count, parameters in shown:
        text = number_format(min(count, LIMIT), force_grouping=True)
        if count > LIMIT:
            text = gettext("more than %(count)s") % {"count": text}
        yield capfirst(str(label)), text, database_query(using, **parameters) if count else ""
    if counts.oldest is not None:
        yield gettext("Oldest"), moment(counts.oldest, ago(counts.oldest)), ""


def moment(value: datetime, words: str) -> str:
    """Return a time in words, with the exact time as its title."""
    title = exact(value)
    return format_html('<time datetime="{}" title="{}">{}</time>', value.isoformat(), title, words)


def full_moment(value: datetime) -> str:
    """Return an exact time, and how long ago it was."""
    return format_html(
        '<time datetime="{}">{} ({})</time>', value.isoformat(), exact(value), ago(value)
    )


def size(upload: Upload) -> str:
    """Return the size of the file, or "" if it is not known."""
    found = upload.file.get("size") if isinstance(upload.file, dict) else None
    return filesizeformat(found) if isinstance(found, int) else ""


def dimensions(upload: Upload) -> str:
    """Return the width and the height in pixels, or "" if they are not known."""
    if upload.width is None or upload.height is None:
        return ""
    return gettext("%(width)d × %(height)d pixels") % {
        "width": upload.width,
        "height": upload.height,
    }


def content_type(upload: Upload) -> str:
    """Return the content type that the browser has sent, with its character set."""
    names = [_text(_decoded(upload, key)) for key in ("content_type", "charset")]
    return "; ".join(name for name in names if name)


def _decoded(upload: Upload, key: str) -> Any:
    try:
        return from_json(upload.file[key])
    except Exception:  # Somebody has changed the row.
        return None


def context(upload: Upload) -> list[tuple[str, str]]:
    """Return the context of the request as pairs of a label and a text."""
    return list(_pairs(upload.context, "", 4))


def _pairs(value: Any, label: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and depth:
        for key, item in value.items():
            name = printable(str(key)).replace("_", " ")
            if not label and key == "language":
                yield gettext("Language"), _language(item)
            elif not label and key == "time_zone":
                yield gettext("Time zone"), _zone(item)
            else:
                yield from _pairs(
                    item, f"{label}, {name}" if label else name.capitalize(), depth - 1
                )
    elif isinstance(value, list) and depth:
        plain = [_text(item) for item in value if not isinstance(item, (dict, list))]
        if plain:
            yield label or capfirst(gettext("context")), ", ".join(plain)
        for item in value:
            if isinstance(item, (dict, list)):
                yield from _pairs(item, label or capfirst(gettext("context")), depth - 1)
    elif not isinstance(value, (dict, list)):
        yield label or capfirst(gettext("context")), _text(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(yesno(value))
    return printable(value.decode(errors="replace") if isinstance(value, bytes) else str(value))


def _language(code: Any) -> str:
    if code is None:
        return pgettext("language", "none")
    try:
        return str(get_language_info(code)["name_translated"])
    except Exception:  # Django does not know a language that the project has added.
        return _text(code)


def _zone(name_or_offset: Any) -> str:
    if isinstance(name_or_offset, (int, float)) and not isinstance(name_or_offset, bool):
        minutes = round(abs(name_or_offset) / 60)
        sign = "-" if name_or_offset < 0 else "+"
        return f"UTC{sign}{minutes // 60:02}:{minutes % 60:02}"
    return _text(name_or_offset)


def printable_lines(text: str) -> str:
    """Return a text of several lines without marks and control characters."""
    return "\n".join(printable(line) for line in text.splitlines())
