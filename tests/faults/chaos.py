"""The faults by name, and their order, which depends on the seed."""

import os
import random
import signal
import threading
from functools import partial

from .draft_chaos import draft_faults
from .engine_chaos import engine_faults
from .orders import CONTESTED

#: The steps of a worker in order; see site/steps.py.
STEPS = ("started", "storing", "stored", "attaching", "saved", "attached", "removing")


class Chaos:
    """Injects faults into the processes of a ``Harness``."""

    def __init__(self, harness, rng, only):
        self.harness = harness
        self._rng = rng
        self.faults = {
            "child killed, anywhere": self._kill_a_child,
            "worker killed, anywhere": self._kill_a_worker,
            "site killed, before sending": partial(self._order, "kill", "sending"),
            "messages twice": partial(self._for_a_while, "twice"),
            "messages late": partial(self._for_a_while, "late"),
            "database connections cut": self._cut_the_database,
            "deadlock, as the server says": partial(self._order, "deadlock", "attaching"),
            "deadlock, with another": partial(self._order, "rival", "attaching"),
            "serialization failure": partial(self._order, "serialization", "attaching"),
            "answer to the commit lost": partial(self._order, "unheard", "attaching"),
            "own save() raises": partial(self._order, "raise", "saved"),
            "storage raises": partial(self._for_a_while, "refuse"),
            "storage hangs": partial(self._order, "hang", "storing"),
            "storage writes half": partial(self._order, "half", "storing"),
            "staging full": self._fill_staging,
            "clock jumps, forward": partial(self._jump, harness.pace.fast),
            "clock jumps, back": partial(self._jump, -300),
            "worker without the field": partial(self._replace, FAULTS_VERSION="after"),
        }
        for step in STEPS:
            self.faults[f"child killed, {step}"] = partial(self._order, "kill", step)
            self.faults[f"worker killed, {step}"] = partial(self._order, "kill-all", step)
            self.faults[f"deleted, {step}"] = partial(self._order, "delete", step)
            self.faults[f"uploaded again, {step}"] = partial(self._order, "change", step)
            self.faults[f"replaced, {step}"] = partial(self._order, "replace", step)
            self.faults[f"emptied, {step}"] = partial(self._order, "empty", step)
        if harness.options.drafts:
            self.faults |= draft_faults(harness, self._order)
        faults, added, self.left_out = engine_faults(harness)
        self.faults |= faults
        left_out = tuple(name for what in self.left_out for name in what.split(", "))
        self.faults = {
            name: fault for name, fault in self.faults.items() if not name.startswith(left_out)
        }
        self._chosen = sorted(name for name in self.faults if name.startswith(only))
        #: The faults of the options with which the run was started.
        self._added = [name for name in added if name in self._chosen]

    def schedule(self, count):
        """Return the names of ``count`` faults: as many of each kind, and each fifth added."""
        names = []
        while len(names) < count:
            names += self._rng.sample(self._chosen, len(self._chosen))
        if self._added:
            names[::5] = [self._rng.choice(self._added) for _ in names[::5]]
        return names[:count]

    def kill_one_at_work(self, action):
        """Kill a worker ("kill-all") or its child ("kill") while it works on an upload."""
        self._order(action, self._rng.choice(STEPS[:3]))

    def _note(self, step, **victim):
        self.harness.orders.note("fault", action="kill", step=step, upload=None, **victim)

    def _order(self, action, step):
        order = self.harness.orders.give(action, step)
        try:
            self.harness.go_on_until(lambda: not order.exists(), f"{action} at {step}")
        finally:
            self.harness.orders.withdraw(order)

    def _for_a_while(self, what):
        self.harness.orders.begin(what)
        try:
            self.harness.go_on(4)
        finally:
            self.harness.orders.end(what)

    def _kill_a_child(self):
        children = self._rng.choice(self.harness.workers).process.children()
        if children:
            victim = self._rng.choice(children)
            self._note("anywhere", victim=victim)
            os.kill(victim, signal.SIGKILL)

    def _kill_a_worker(self):
        worker = self._rng.choice(self.harness.workers)
        self._note("anywhere", group=worker.process.group)
        worker.process.kill()

    def _cut_the_database(self):
        cut = 0
        while cut < 3:
            cut += self.harness.engines.database.cut()
            self.harness.go_on(1)

    def _jump(self, seconds):
        """Have the clock of a worker jump, and back again later."""
        worker = self._rng.choice(self.harness.workers)
        self.harness.orders.set_clock(worker.name, seconds)
        try:
            self.harness.go_on(8)
        finally:
            self.harness.orders.set_clock(worker.name, 0)

    def _fill_staging(self):
        def has_failed():
            return len(self.harness.stream.answers.errors) > before

        before = len(self.harness.stream.answers.errors)
        self.harness.orders.begin("full")
        try:
            self.harness.go_on_until(has_failed, "a form that finds no space left")
        finally:
            self.harness.orders.end("full")

    def _replace(self, **environment):
        worker = self.harness.workers[-1]
        worker.replace(build=self.harness.build, **environment)
        self.harness.go_on_until(worker.is_replaced, "the other worker is ready")
        self.harness.go_on(8)
        worker.replace(build=self.harness.build)
        self.harness.go_on_until(worker.is_replaced, "the worker is ready")

    def answer(self, told):
        """Do what a process at a step asks for, while it waits."""
        from django.db import DatabaseError, connection

        try:
            table, key = self.harness.row_of(told)
        except DatabaseError:  # The database is down. The process goes on without an answer.
            connection.close()
            return
        if key is None:
            return
        if told["action"] == "rival":
            has_begun = threading.Event()
            threading.Thread(target=_rival, args=(table, key, has_begun), daemon=True).start()
            has_begun.wait(10)
            return
        stream, action = self.harness.stream, told["action"]
        if action in ("replace", "empty"):
            deed = partial(self.harness.others.do, action, table, key)
        elif table == "slide":
            deed = partial(stream.change_slide, key)
        else:
            deed = partial(stream.delete if action == "delete" else stream.change, key)
        thread = threading.Thread(target=deed, daemon=True)
        thread.start()
        # At a step inside its transaction, the process holds the lock that the request waits for.
        thread.join(0.5)


def _rival(table, key, has_begun):
    """Lock the row that the worker locks next, and wait for the row that it has locked."""
    from django.db import OperationalError, connection, transaction

    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(CONTESTED)
            has_begun.set()
            cursor.execute(f"SELECT id FROM site_{table} WHERE id = %s FOR UPDATE", [key])
    except OperationalError as error:
        print(f"The rival gave way: {error}")
    finally:
        connection.close()


def rng_of(seed, what):
    """Return random numbers for one purpose, independent of other purposes."""
    return random.Random(f"{seed} {what}")
