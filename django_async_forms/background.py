"""Threads that work while a request or an attempt goes on."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

#: The limit of waiting calls. More of them are a sign of a fault that memory does not fix.
_MAX_WAITING = 1000

_Result = TypeVar("_Result")


@cache
def _threads() -> ThreadPoolExecutor:
    # They stay: starting one takes about as long as a statement of the database.
    return ThreadPoolExecutor(32, thread_name_prefix="async_forms")


if hasattr(os, "register_at_fork"):  # The child of a fork has no other threads.
    os.register_at_fork(after_in_child=_threads.cache_clear)


@contextmanager
def meanwhile(function: Callable[[], _Result]) -> Iterator[Callable[[], _Result]]:
    """
    Call a function in a thread while the block runs, which ends when it has returned.

    The block gets another function, which waits for it, and returns or raises what it does.
    """
    call = _threads().submit(function)
    try:
        yield call.result
    finally:
        wait([call])


class BackgroundThread:
    """
    Makes calls in its own thread, which starts with the first call.

    The thread is a daemon, so a call that never returns does not keep the process alive. A call
    that raises ends the thread, and the next call starts another.
    """

    def __init__(self) -> None:
        self._calls: queue.Queue[tuple[Callable[[], None], threading.Event]]
        self._calls = queue.Queue(_MAX_WAITING)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._busy_since: float | None = None

    def submit(self, function: Callable[[], None]) -> threading.Event:
        """
        Call ``function`` in the thread; return an event that is set when it has returned.

        Raises ``queue.Full``, and ``RuntimeError`` if the process cannot start a thread.
        """
        done = threading.Event()
        self._calls.put_nowait((function, done))
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._work, name="async_forms", daemon=True)
                thread.start()
                self._thread = thread
        return done

    def is_stuck(self, seconds: float) -> bool:
        """Tell whether the current call has taken longer than ``seconds``."""
        since = self._busy_since
        return since is not None and time.monotonic() - since > seconds

    def finish(self, seconds: float) -> bool:
        """Wait at most ``seconds`` for the submitted calls, and tell whether all have returned."""
        with self._calls.all_tasks_done:
            return self._calls.all_tasks_done.wait_for(
                lambda: not self._calls.unfinished_tasks, seconds
            )

    def _work(self) -> None:
        while True:
            function, done = self._calls.get()
            self._busy_since = time.monotonic()
            try:
                function()
            finally:
                self._busy_since = None
                self._calls.task_done()
                done.set()


@cache
def threads_run_between_requests() -> bool:
    """Tell whether threads run between requests. In uWSGI, they need an option for that."""
    try:
        import uwsgi  # type: ignore[import-untyped]
    except ImportError:
        return True
    return bool({"enable-threads", "threads"}.intersection(uwsgi.opt))
