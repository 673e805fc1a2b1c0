"""A thread that makes calls one after the other, so that a request does not wait for them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

#: The calls that may wait. Beyond it, there is something wrong that memory does not cure.
_MAX_WAITING = 1000


class Sender:
    """
    Makes calls in a thread of its own, which starts with the first of them.

    It is a daemon: a call that never returns does not keep the process from ending. A call that
    raises ends the thread, and the next one starts another.
    """

    def __init__(self) -> None:
        self._calls: queue.Queue[tuple[Callable[[], None], threading.Event]]
        self._calls = queue.Queue(_MAX_WAITING)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._busy_since: float | None = None

    def submit(self, function: Callable[[], None]) -> threading.Event:
        """
        Have ``function`` called; return an event that is set when it has returned.

        Raises ``queue.Full``, and ``RuntimeError`` if the process can start no thread.
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
        """Tell whether one call has taken longer than that, and is not over."""
        since = self._busy_since
        return since is not None and time.monotonic() - since > seconds

    def finish(self, seconds: float) -> bool:
        """Wait for the calls that were submitted, and tell whether all have returned."""
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


def threads_go_on() -> bool:
    """Tell whether threads run between requests. In uWSGI they do only if it is told so."""
    try:
        import uwsgi  # type: ignore[import-untyped]
    except ImportError:
        return True
    return bool({"enable-threads", "threads"}.intersection(uwsgi.opt))
