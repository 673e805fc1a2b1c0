"""Makes views run in a transaction or not, synchronous or asynchronous."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import connections, transaction

_View = TypeVar("_View", bound=Callable[..., Any])


def in_no_transaction(view: _View) -> _View:
    """Keep ``ATOMIC_REQUESTS`` of each database away from a view."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


class SyncOrAsync:
    """
    A view that is one function under WSGI and another one, which is a coroutine, under ASGI.

    Django looks at a view for each request, and runs one of the wrong kind in an event loop or a
    thread of its own. A coroutine would cost each request under WSGI half a millisecond.
    """

    def __init__(self, view: Callable[..., Any], async_view: Callable[..., Any]) -> None:
        self._view = view
        self._async_view = async_view

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._current()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        # What Django and inspect.iscoroutinefunction() look at: the code, the name, and the
        # attributes that decorators set.
        return getattr(self._current(), name)

    def _current(self) -> Callable[..., Any]:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._view
        return self._async_view
