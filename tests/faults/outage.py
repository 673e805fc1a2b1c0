"""
Keeps the final storage down for an hour, and shows what happens to the uploads of that hour.

``python -m tests.faults.outage --minutes 60 --uploads 60 --database postgresql --broker redis``
takes the other options of ``tests/faults/run`` too. An operator retries the failed uploads once the
others are attached.
"""

import argparse
import hashlib
import statistics
import sys
import time
import uuid
from collections import Counter
from contextlib import closing

import requests
from kombu import Connection

from tests import pictures

from . import __main__ as faults
from .audit import audit
from .harness import Harness
from .record import append, commit, describe, today

#: The seconds between two looks at the queue and the workers.
PAUSE = 2
COLUMNS = ("Engines", "Seed", "Date", "Commit", "Minutes", "Uploads", "Attempts, median", "highest")
COLUMNS += ("Failed", "Attached after, s, median", "last", "After the retry, s", "Queue, highest")
COLUMNS += ("Reserved, highest", "Lost", "Doubled", "Orphans")


class Outage:
    """One outage at the pace of the harness's options."""

    def __init__(self, harness, seconds, uploads):
        self.harness = harness
        self.seconds = seconds
        self.uploads = uploads
        #: The largest numbers of messages that wait in the broker, and that workers have reserved.
        self.queued = self.reserved = 0
        #: The number of failed uploads when the storage came back, or soon after.
        self.failed = 0

    def run(self):
        """Post the uploads, end the outage, and wait until all images are attached."""
        from django.core.management import call_command

        from django_async_forms.models import Upload

        self.harness.orders.begin("refuse")
        began = time.monotonic()
        for number in range(self.uploads):
            self._watch_until(began + self.seconds * number / self.uploads)
            self._post(f"{self.harness.options.seed} {number}")
        self._watch_until(began + self.seconds)
        self.attempts = self._attempts()
        self.harness.orders.end("refuse")
        self.ended_at = time.time()
        while Upload.objects.pending().exists():
            self._watch()
        self.failed = Upload.objects.failed().count()
        self.retried_at = time.time()
        if self.failed:
            call_command("async_uploads", "retry", "--all")
        while Upload.objects.exists():
            self._watch()

    def attached_after(self):
        """Return the seconds from the end of the outage to each image, without and with a retry."""
        times = [note["at"] for note in self.harness.orders.notes() if note["what"] == "attached"]
        return (
            [at - self.ended_at for at in times if at <= self.retried_at],
            [at - self.retried_at for at in times if at > self.retried_at],
        )

    def _post(self, seed):
        token, content = uuid.uuid4().hex, pictures.jpeg(320, 240, seed=seed)
        # For the audit.
        self.harness.stream.sent[token] = {"image": hashlib.sha256(content).hexdigest()}
        response = requests.post(
            f"{self.harness.processes.address}/add/",
            data={"title": token},
            files={"image": ("dune.jpg", content, "image/jpeg")},
            headers={"X-Token": token},
            timeout=60,
        )
        response.raise_for_status()

    def _watch_until(self, latest):
        while time.monotonic() < latest:
            self._watch()

    def _watch(self):
        for worker in self.harness.workers:
            worker.tend()
        notes = Counter(note["what"] for note in self.harness.orders.notes())
        self.reserved = max(self.reserved, notes["received"] - notes["ended"])
        self.queued = max(self.queued, self._waiting())
        time.sleep(PAUSE)

    def _waiting(self):
        broker = self.harness.engines.broker
        with closing(Connection(broker.url_of_processes, transport_options=broker.options)) as link:
            try:
                return link.default_channel.queue_declare(broker.queue, passive=True).message_count
            except link.channel_errors:
                return 0  # Redis has no empty queue.

    def _attempts(self):
        """Return the number of attempts at each upload."""
        notes = self.harness.orders.notes()
        return list(Counter(n["upload"] for n in notes if n["what"] == "began").values())


def main():
    parser = argparse.ArgumentParser(prog="tests.faults.outage", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    own, rest = parser.parse_known_args()
    options = faults.parse(rest)
    harness = Harness(options)
    try:
        harness.start()
        harness.others.end()
        for worker in harness.workers:
            worker.process.wait_for(worker.is_ready, "the worker is ready")
        harness.quiet_since = 0
        outage = Outage(harness, own.minutes * 60, options.uploads)
        outage.run()
        harness.stream.end()
        found = audit(harness)
        times, retried = outage.attached_after()
        row = [f"``{describe(harness)}``", options.seed, today(), f"``{commit()}``"]
        row += [f"{own.minutes:g}", found.uploads]
        row += [f"{statistics.median(outage.attempts):g}", max(outage.attempts), outage.failed]
        row += [f"{statistics.median(times or [0]):.0f}", f"{max(times, default=0):.0f}"]
        row += [f"{max(retried, default=0):.0f}", outage.queued, outage.reserved]
        row += [len(found.lost), len(found.doubled), len(found.orphans)]
        for what, value in zip(COLUMNS, row, strict=True):
            print(f"  {what:<32}{value}")
        print("  attempts in the outage:", *sorted(outage.attempts))
        print("  attached after, s:", *(round(seconds) for seconds in sorted(times)))
        for problem in (*found.lost, *found.doubled, *found.stale, *found.rows_left):
            print(f"  {problem}")
        if options.record:
            append(options.record, COLUMNS, row)
        return 1 if found.lost or found.doubled or found.stale or found.rows_left else 0
    finally:
        if options.keep:
            print(f"The logs are in {harness.folder}.")
            harness.keep_folder()
        harness.close()


if __name__ == "__main__":
    sys.exit(main())
