"""
Delays calls until the current request has ended.

Django sends a signal when a request begins and another after its last byte, but neither names the
request. A context variable does not help: before Django 6.1, a view under ASGI does not see what a
receiver has set. So asgiref's object for an ASGI request identifies it. Any other request is
identified by its thread, which has one request at a time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from asgiref.sync import SyncToAsync

#: The waiting calls of each request that has begun and not ended.
_waiting: WeakKeyDictionary[object, list[Callable[[], None]]] = WeakKeyDictionary()

if hasattr(os, "register_at_fork"):
    # A process that a view forks answers none of these requests.
    os.register_at_fork(after_in_child=_waiting.clear)


def call_after_response(function: Callable[[], None]) -> bool:
    """
    Call ``function`` after the current request has ended, and return True.

    Outside a request, do not call it and return False. ``function`` must not raise.
    """
    functions = _waiting.get(_current_request())
    if functions is None:
        return False
    functions.append(function)
    return True


def begin(scope: object = None, **kwargs: Any) -> None:
    """Receive Django's ``request_started``."""
    # Django sends no signal at the end of a request whose exception the server handles
    # (DEBUG_PROPAGATE_EXCEPTIONS). End such a request before the next one begins.
    end()
    request = _current_request()
    # Django's AsyncClient has no such object, and its requests end in another thread. Leave them.
    if scope is None or not isinstance(request, threading.Thread):
        _waiting[request] = []


def end(**kwargs: Any) -> None:
    """Receive Django's ``request_finished``."""
    for function in _waiting.pop(_current_request(), []):
        function()


def _current_request() -> object:
    return SyncToAsync.thread_sensitive_context.get(None) or threading.current_thread()
