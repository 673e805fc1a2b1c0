"""A run on some engines: starts everything, injects the faults, and heals."""

import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from .builds import other_build
from .chaos import Chaos, rng_of
from .engines import Engines
from .orders import Orders
from .others import Others
from .processes import Processes, is_ready
from .stream import Stream

#: The allowed causes of a failed request: the database, a full disk, the end of its process, an
#: instance that somebody else has deleted or emptied, and a row over which two others deadlock.
EXPECTED = {
    "deadlock, as ordered",
    "database",
    "staging full",
    "site killed",
    "deleted meanwhile",
    "emptied by other code",
}
#: Where the database refuses a write after a concurrent change, as in plain Django.
STRICT = {"repeatable read", "serializable"}
#: The longest wait for anything on a slow and busy machine.
DEADLINE = 120
#: The time that a worker has to stop before it is killed.
GRACE = 10


@dataclass(frozen=True)
class Pace:
    """The durations and numbers of a run. All times are seconds."""

    #: The project's ASYNC_FORMS.
    async_forms: dict
    #: The seconds between two runs of recover_uploads by Celery beat.
    recover_every: float
    #: The time after which Celery kills a process with an unfinished task.
    time_limit: float
    #: The average time of the final storage.
    slowness: float
    #: The error of a fast clock.
    fast: float
    #: The number of uploads for each fault.
    uploads_per_fault: int
    #: The time limit of the recovery after the healing.
    healing: float
    #: The number of workers, and of their children, that are killed in the quiet after it.
    kills: int


PACES = {
    # The defaults, and the documented schedule of beat.
    "defaults": Pace({}, 60, 10, 0.05, 180, 25, 900, 6),
    # The same in a hurry, for a run among the tests.
    "hurried": Pace(
        {"RESEND_AFTER": 4, "RETRY_PAUSE": 0.5, "MAX_RETRY_PAUSE": 4, "PUBLISH_PAUSE": 1},
        recover_every=2,
        time_limit=6,
        slowness=0.02,
        fast=60,
        uploads_per_fault=6,
        healing=120,
        kills=2,
    ),
}


class Supervised:
    """A worker that is started again after it died, as by a supervisor."""

    def __init__(self, processes, name):
        self.name = name
        self._processes = processes
        self._settings = {}
        self._stop_by = None
        self.process = processes.worker(name)

    def is_ready(self):
        return is_ready(self.process)

    def tend(self):
        if self._stop_by and time.monotonic() > self._stop_by:
            self.process.kill()
        if not self.process.is_running():
            self.process.kill()
            self._stop_by = None
            self.process = self._processes.worker(self.name, **self._settings)

    def replace(self, **settings):
        """Stop the worker, and start it again with another build or environment."""
        self._settings = settings
        self._replaced = self.process
        # Like a supervisor: a worker that a fault has hit may not stop when asked.
        self._stop_by = time.monotonic() + GRACE
        self.process.ask_to_stop()

    def is_replaced(self):
        """Tell whether the other worker takes tasks."""
        return self.process is not self._replaced and self.is_ready()


class Harness:
    """The processes of a run, and its results."""

    def __init__(self, options):
        self.options = options
        self.pace = PACES[options.pace]
        self.counts = {}
        self.missed = []
        #: Failed uploads whose instance is gone.
        self.kept = 0
        self._rng = rng_of(options.seed, "faults")
        self.folder = Path(tempfile.mkdtemp(prefix="faults_"))
        (self.folder / "temporary").mkdir()
        self.orders = Orders(self.folder / "orders")
        self._closing = [lambda: shutil.rmtree(self.folder, ignore_errors=True)]
        self._progress = _Progress(self)
        try:
            self.engines = Engines(options, self.folder, self.pace)
            #: The other build of the package, if there is one.
            self.other = other_build(options.other_build, self.folder)
            #: The build that processes are started with.
            self.build = None
        except BaseException:
            self.close()
            raise
        #: The allowed causes of failed requests on this database.
        is_strict = self.engines.database.isolation in STRICT
        self.expected = EXPECTED | ({"serialization"} if is_strict else set())

    def start(self):
        """Start the site, two workers, beat, and the users."""
        self._closing.append(self._close_engines)
        os.environ["FAULTS_RUN"] = json.dumps(self.engines.run_of_harness)
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.faults.site.settings"
        import django
        from django.core.management import call_command

        django.setup()
        self.engines.create()
        call_command("migrate", run_syncdb=True, verbosity=0)
        network = self.engines.network
        self.processes = processes = Processes(self.engines.run, self.folder, network)
        self._closing.append(processes.kill)
        self.site = processes.site()
        self.workers = [Supervised(processes, name) for name in ("one", "two")]
        self.beat = processes.beat()
        self.site.wait_for(self.site_is_there, "the site is there")
        options = self.options
        self.stream = Stream(processes.address, options.seed, options.drafts)
        self.others = Others(self.stream, options.seed)
        self.chaos = Chaos(self, self._rng, tuple(options.only or [""]))

    def site_is_there(self):
        return "Booting worker" in self.site.text()

    def _close_engines(self):
        for problem in self.engines.close():
            print(f"Not cleaned up: {problem!r}", file=sys.stderr)

    def execute(self):
        """Post the uploads, with a fault after each few of them."""
        uploads = self.options.uploads
        for worker in self.workers:
            self.go_on_until(worker.is_ready, "the workers are ready")
        names = self.chaos.schedule(max(1, uploads // self.pace.uploads_per_fault))
        for number, name in enumerate(names, start=1):
            self.stream.allow(uploads * number // len(names))
            self._progress.doing = name
            try:
                self.chaos.faults[name]()
            except TimeoutError as error:
                self.missed.append(f"{name}: {error}")
            else:
                self.counts[name] = self.counts.get(name, 0) + 1
            self._wait(self.stream.is_at_rest, "the stream is where it should be")
        self.others.end()

    def kill_in_quiet(self):
        """Kill workers without other faults, and see how long the recovery takes."""
        self._progress.doing = "killing workers"
        self.quiet_since = time.time()
        for worker in self.workers:
            self.go_on_until(worker.is_ready, "the workers are ready")
        # They do not wait for the recovery of those before.
        for action in ("kill-all", "kill") * (self.options.kills or self.pace.kills):
            self.chaos.kill_one_at_work(action)
            self.go_on(6)

    @property
    def recovers_within(self):
        """Return the promised time from a kill until the image is attached."""
        if not self.engines.broker.is_redis:
            return 30
        from django_async_forms.conf import conf

        # The wait until it is overdue, the wait for the next recovery, and the work.
        return conf().RESEND_AFTER + self.pace.recover_every + 15

    def heal(self):
        """Wait until no upload is pending, and do all that an operator can do."""
        from django.core.management import call_command

        from django_async_forms.models import Upload

        self._progress.doing = "healing"
        began = time.monotonic()

        def nothing_is_pending():
            failed = Upload.objects.failed()
            gone = [upload.pk for upload in failed if not _has_instance(upload)]
            self.kept += failed.filter(pk__in=gone).discard()
            if failed.exists():
                call_command("async_uploads", "retry", "--all", stdout=_Nowhere())
            return not Upload.objects.exists()

        try:
            self._wait(nothing_is_pending, "nothing is pending", self.pace.healing, pause=0.5)
            idle = self.orders.working
            self._wait(lambda: not idle(), "workers are done", self.pace.healing, pause=0.5)
        except TimeoutError as error:
            self.missed.append(str(error))
        self.healed_within = time.monotonic() - began

    def keep_folder(self):
        """Keep the logs and the notes."""
        self._closing.pop(0)

    def close(self):
        """Kill all processes and remove all data."""
        self._progress.end()
        for close in reversed(self._closing):
            try:
                close()
            except Exception as error:
                print(f"Not cleaned up: {error!r}", file=sys.stderr)

    # For the faults:

    def go_on(self, uploads):
        """Continue for a number of uploads."""
        before = self.stream.answers.uploads
        self.go_on_until(
            lambda: self.stream.answers.uploads >= before + uploads, f"{uploads} more uploads"
        )

    def go_on_until(self, condition, what):
        """Continue until a condition is true, with more uploads if necessary."""

        def is_so():
            if not condition():
                if self.stream.is_at_rest() and time.monotonic() > self._nudged + 0.5:
                    self._nudged = time.monotonic()
                    self.stream.allow(self.stream.answers.uploads + 1)
                return False
            return True

        self._nudged = time.monotonic()
        self._wait(is_so, what)

    def go_on_for(self, seconds):
        """Continue for some time, as far as the users can."""
        latest = time.monotonic() + seconds
        self.go_on_until(lambda: time.monotonic() > latest, "time passes")

    def row_of(self, told):
        """Return the table and the key (perhaps None) of the row that a process works on."""
        from django_async_forms.models import Upload

        for table in ("picture", "slide"):
            if table in told:
                return table, told[table]
        upload = Upload.objects.filter(pk=told["upload"]).first()
        if upload is None:
            return None, None
        return upload.model.partition(".")[2], int(upload.object_pk)

    def _wait(self, condition, what, deadline=DEADLINE, pause=0.02):
        latest = time.monotonic() + deadline
        while not condition():
            for worker in self.workers:
                worker.tend()
            for file, told in self.orders.told():
                self.chaos.answer(told)
                file.unlink(missing_ok=True)
            self._progress.show()
            if time.monotonic() > latest:
                raise TimeoutError(f"not within {deadline} s: {what}")
            time.sleep(pause)


def _has_instance(upload):
    from django.core.exceptions import ObjectDoesNotExist

    try:
        upload.get_instance()
    except ObjectDoesNotExist:
        return False
    return True


class _Nowhere:
    def write(self, text):
        pass


class _Progress:
    """A line with the progress of the run."""

    def __init__(self, harness):
        self.doing = "starting"
        self._harness = harness
        self._is_live = sys.stderr.isatty()
        self._next = 0.0

    def show(self):
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + (0.5 if self._is_live else 30)
        answers = self._harness.stream.answers
        text = (
            f"{answers.uploads} of {self._harness.options.uploads} uploads, "
            f"{sum(self._harness.counts.values())} faults, {len(answers.errors)} requests failed; "
            f"{self.doing}"
        )
        print(f"\r\x1b[K{text[:110]}" if self._is_live else text, end="", file=sys.stderr)
        print("" if self._is_live else "\n", end="", file=sys.stderr, flush=True)

    def end(self):
        if self._is_live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
