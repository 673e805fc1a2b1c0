"""Workers that begin at the same moment, as threads with their own connections."""

import threading

from django.db import connection

from tests.worker import DEADLINE


class Meanwhile:
    """Does something in a thread with its own connection."""

    def __init__(self, function):
        self.errors = []
        self._thread = threading.Thread(target=self._run, args=[function], daemon=True)
        self._thread.start()

    def _run(self, function):
        try:
            with connection.cursor() as cursor:
                # So a wait for a lock fails long before the deadline.
                if connection.vendor == "postgresql":
                    cursor.execute("SET lock_timeout = '5s'")
                elif connection.vendor == "mysql":
                    cursor.execute("SET innodb_lock_wait_timeout = 5")
                else:
                    cursor.execute("PRAGMA busy_timeout = 5000")
            function()
        except Exception as error:
            self.errors.append(error)
        finally:
            connection.close()

    def wait(self):
        """Wait until the thread has ended, and raise its error."""
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive(), "It is kept waiting."
        if self.errors:
            raise self.errors[0]


def at_the_same_moment(function):
    """Do something on another connection, and wait for it."""
    Meanwhile(function).wait()


def work_in_threads(work_on, uploads):
    """Call ``work_on`` with each upload in its own thread, and wait until all have ended."""
    ready = threading.Barrier(len(uploads))

    def work(upload):
        try:
            ready.wait(DEADLINE)
            work_on(upload)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=[upload]) for upload in uploads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
