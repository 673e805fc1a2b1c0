"""The context of a request, such as its language, in which the worker saves an image."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime, timedelta, tzinfo
from datetime import timezone as fixed
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone, translation
from django.utils.module_loading import import_string
from django.utils.translation import trans_real

from .conf import conf

logger = logging.getLogger("django_async_forms")


def capture() -> Any:
    """
    Return the context of this request, as data that JSON can carry.

    Raises ``TypeError`` where the project's class returns other data.
    """
    path = conf().CONTEXT
    data = import_string(path)().capture()
    try:
        json.dumps(data)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"ASYNC_FORMS['CONTEXT'] is {path!r}, whose capture() returned {data!r}. "
            f"Return data that JSON can carry ({error})."
        ) from error
    return data


def restore(data: Any) -> AbstractContextManager[Any]:
    """Return a context manager that restores what ``capture()`` returned."""
    manager: AbstractContextManager[Any] = import_string(conf().CONTEXT)().restore(data)
    return manager


class RequestContext:
    """
    The default of ``CONTEXT``: the active language and the active time zone.

    Extend it to preserve more::

        class TenantContext(RequestContext):
            def capture(self):
                return {**super().capture(), "tenant": current_tenant()}

            @contextmanager
            def restore(self, data):
                with super().restore(data), use_tenant(data["tenant"]):
                    yield
    """

    def capture(self) -> dict[str, Any]:
        """Return the language and the time zone, each if one is active."""
        data: dict[str, Any] = {}
        if _has_active(trans_real):
            data["language"] = translation.get_language()  # None after deactivate_all().
        if _has_active(timezone):
            data["time_zone"] = _name_or_offset(timezone.get_current_timezone())
        return data

    @contextmanager
    def restore(self, data: Any) -> Iterator[None]:
        """Activate what ``capture()`` returned. Data of an older version may lack either key."""
        data = data if isinstance(data, dict) else {}
        with ExitStack() as stack:
            if "language" in data:
                stack.enter_context(translation.override(data["language"]))
            zone = _zone(data["time_zone"]) if "time_zone" in data else None
            if zone is not None:
                stack.enter_context(timezone.override(zone))
            yield


def _has_active(module: Any) -> bool:
    # Django has no public name for this. If the private one is gone, the current value is active.
    return not hasattr(module, "_active") or hasattr(module._active, "value")


def _name_or_offset(zone: tzinfo) -> str | float:
    """Return the key of a ``ZoneInfo``, or the current offset of another zone, in seconds."""
    name: str | None = getattr(zone, "key", None)
    if name is not None:
        return name
    return (datetime.now(zone).utcoffset() or timedelta()).total_seconds()


def _zone(name_or_offset: str | float) -> tzinfo | None:
    try:
        if isinstance(name_or_offset, str):
            return ZoneInfo(name_or_offset)
        return fixed(timedelta(seconds=name_or_offset))
    except Exception as error:  # ZoneInfo also raises errors of the file system.
        # This host may have older time zone data. Save the image without its time zone.
        logger.warning("The time zone %r is unknown here: %r", name_or_offset, error)
        return None
