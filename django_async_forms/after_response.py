"""
Calls that wait for the end of a request.

Django sends signals when a request begins and when its last byte is out, but does not say which
request. A context variable would not do: before Django 6.1, a view under ASGI does not see what a
receiver has set. asgiref has an object for each ASGI request, and elsewhere a thread has one
request at a time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from asgiref.sync import SyncToAsync

#: The calls that wait, by request. Only a request that has begun and not ended is in it.
_waiting: WeakKeyDictionary[object, list[Callable[[], None]]] = WeakKeyDictionary()

if hasattr(os, "register_at_fork"):
    # A process that a view forks answers no request.
    os.register_at_fork(after_in_child=_waiting.clear)


def call_after_response(function: Callable[[], None]) -> bool:
    """
    Have ``function`` called when the request that is being answered has ended, and return True.

    Outside of a request it is not called: the return value is False. It must not raise.
    """
    functions = _waiting.get(_current_request())
    if functions is None:
        return False
    functions.append(function)
    return True


def begin(scope: object = None, **kwargs: Any) -> None:
    """Receive Django's ``request_started``."""
    # An exception that the server was left to handle (DEBUG_PROPAGATE_EXCEPTIONS) has no end.
    end()
    request = _current_request()
    # Django's AsyncClient speaks ASGI without such an object, and ends in another thread.
    if scope is None or not isinstance(request, threading.Thread):
        _waiting[request] = []


def end(**kwargs: Any) -> None:
    """Receive Django's ``request_finished``."""
    for function in _waiting.pop(_current_request(), []):
        function()


def _current_request() -> object:
    return SyncToAsync.thread_sensitive_context.get(None) or threading.current_thread()
