"""Workers that begin at the same moment, as threads with their own connections."""

import threading

from django.db import connection

from tests.worker import DEADLINE


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
