"""Gives the log records of the package stable keys, for tools that search and count them."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone
from typing import Any

#: The event of each record, and the keys of its arguments. Keyed by the text before the arguments
#: are filled in, as it stands in the code.
EVENTS: dict[str, tuple[str, ...]] = {
    "%s %s: its staged file is not shown: %r": ("preview.not_shown", "kind", "id", "error"),
    "%s %s: the storage of %s has no URL for it: %r": (
        "status.no_url",
        *("model", "object_pk", "field", "error"),
    ),
    "Database %s: %s.": ("recovery.finished", "database", "recovered"),
    "Database %s: its outbox is not shown: %r": ("admin.outbox_not_shown", "database", "error"),
    "Database %s: no image can be staged for it: %r": ("health.not_ready", "database", "error"),
    "Database %s: no metrics of its outbox: %r": ("metrics.database_down", "database", "error"),
    "Database %s: not recovered.": ("recovery.failed", "database"),
    "Database %s: not recovered: %s": ("recovery.failed", "database", "error"),
    "Draft %s: %r": ("draft.disconnected", "draft", "error"),
    "Draft %s: begun for %s.": ("draft.begun", "draft", "purpose"),
    "Draft %s: complete.": ("draft.complete", "draft"),
    "Draft %s: cut off, %d bytes short.": ("draft.cut_off", "draft", "missing"),
    "Draft %s: its bytes are gone: %r": ("draft.lost", "draft", "error"),
    "Draft %s: kept for %s.": ("draft.kept", "draft", "purpose"),
    "Draft %s: refused.": ("draft.refused", "draft"),
    "Draft %s: removed by its sender.": ("draft.removed", "draft"),
    "Ignored a message without the id of an upload.": ("message.ignored",),
    "Pillow does not read %s: %r": ("image.not_read", "file", "error"),
    "Recovery stops sending because the broker does not answer: %r": ("recovery.stopped", "error"),
    "Removed the abandoned staged file %s.": ("recovery.file_removed", "staged"),
    "The image for %s is not kept: %r": ("draft.not_kept", "field", "error"),
    "The staging storage cannot list its files: abandoned ones stay.": ("recovery.not_listed",),
    "The time zone %r is unknown here: %r": ("context.no_time_zone", "time_zone", "error"),
    "Upload %s: a receiver of the signal raised: %r": (
        "upload.receiver_raised",
        *("upload", "receiver"),
    ),
    "Upload %s: an observer raised: %r": ("upload.observer_raised", "upload", "error"),
    "Upload %s: attached.": ("upload.attached", "upload"),
    "Upload %s: attempt %d failed, the next in %.1f s: %s": (
        "upload.attempt_failed",
        *("upload", "attempts", "pause", "error"),
    ),
    "Upload %s: discarded.": ("upload.discarded", "upload"),
    "Upload %s: failed after %d attempts: %s": ("upload.failed", "upload", "attempts", "error"),
    "Upload %s: its context could not be restored.": ("upload.no_context", "upload"),
    "Upload %s: its staged file is not shown: %r": ("admin.staged_not_shown", "upload", "error"),
    "Upload %s: left a file that nothing uses.": ("upload.file_left", "upload"),
    "Upload %s: left its file in the storage.": ("upload.attach_not_undone", "upload"),
    "Upload %s: not marked as due.": ("upload.not_marked", "upload"),
    "Upload %s: not pending in the database %s. It was attached, superseded or discarded; or it is "
    "kept elsewhere, such as in another schema.": ("upload.not_pending", "upload", "database"),
    "Upload %s: not sent, left to recovery: %r": ("upload.not_sent", "upload", "error"),
    "Upload %s: removed a file that nothing uses.": ("upload.file_removed", "upload"),
    "Upload %s: sent.": ("upload.sent", "upload"),
    "Upload %s: staged for %s.": ("upload.staged", "upload", "field"),
    "Upload %s: stored.": ("upload.stored", "upload"),
    "Upload %s: superseded after it was attached.": ("upload.superseded_late", "upload"),
    "Upload %s: superseded by a newer state.": ("upload.superseded", "upload"),
    "Upload %s: superseded, discarded or attached meanwhile.": ("upload.ended", "upload"),
    "Upload %s: the eager task failed.": ("upload.eager_task_failed", "upload"),
    "Upload %s: the file is %r.": ("upload.named", "upload", "file"),
}


def keys_of(record: logging.LogRecord) -> dict[str, Any]:
    """
    Return the event and the arguments of a record by their keys, as values that JSON can carry.

    Empty for a record of other code.
    """
    event, *keys = EVENTS.get(str(record.msg), ("",))
    if not event:
        return {}
    arguments = record.args if isinstance(record.args, tuple) else ()
    found: dict[str, Any] = {"event": event}
    for key, value in zip(keys, arguments, strict=False):
        if hasattr(value, "_asdict"):
            found.update(value._asdict())  # The numbers of a recovery.
        elif isinstance(value, BaseException):
            found[key] = f"{type(value).__name__}: {value}"
        else:
            found[key] = value if isinstance(value, (int, float)) else str(value)
    return found


class KeysFilter(logging.Filter):
    """A filter that refuses nothing: it makes attributes of the keys, for any formatter."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Set the attributes."""
        vars(record).update(keys_of(record))
        return True


class JSONFormatter(logging.Formatter):
    """A formatter that writes each record as an object in a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line: the usual facts, the keys of the package, and the traceback if any."""
        line = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **keys_of(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)
