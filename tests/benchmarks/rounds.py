"""Runs all cases in each round, in a new order each time, so that they can be compared."""

import random
import statistics
import time
from contextlib import contextmanager


class Results(dict):
    """The measured values by case: a list with one value a round. Times are in seconds."""

    def median(self, *what):
        """Return the median, or None if it was not measured."""
        values = self.get(what)
        return statistics.median(values) if values else None

    def ratio(self, above, below):
        """Return how many times one median is another, or None if that means nothing."""
        top, bottom = self.median(*above), self.median(*below)
        return None if top is None or bottom is None or bottom <= 0 else top / bottom

    def spread(self, *what):
        """Return the first and third quartile."""
        values = self[what]
        if len(values) < 2:
            return values[0], values[0]
        first, _, third = statistics.quantiles(values, n=4, method="inclusive")
        return first, third

    def note(self, *what, value):
        self.setdefault(what, []).append(value)


def interleave(results, prefix, cases, rounds, progress, warm_up=1):
    """
    Run all ``cases`` (name: a function that returns what it measured) in each of ``rounds``.

    So anything else that happens on the machine meanwhile affects all cases. A case returns a
    value, or a list of them.
    """
    dice = random.Random(0)
    names = list(cases)
    for name in names:  # The order of the report.
        results.setdefault((*prefix, name), [])
    for number in range(-warm_up, rounds):
        dice.shuffle(names)
        for name in names:
            progress(f"{' '.join(prefix)} {name}")
            measured = cases[name]()
            if number >= 0:
                values = measured if isinstance(measured, list) else [measured]
                results[(*prefix, name)].extend(values)


def subtract(results, prefix, case, base, name=None):
    """Note how much longer ``case`` took than ``base``, round by round."""
    pairs = zip(results[(*prefix, case)], results[(*prefix, base)], strict=True)
    results[("difference", *prefix, name or case)] = [value - less for value, less in pairs]


class Stopwatch:
    """Measures the time of a block: ``with stopwatch() as watch``, then ``watch.seconds``."""

    seconds = 0.0


@contextmanager
def stopwatch():
    watch = Stopwatch()
    start = time.perf_counter()
    yield watch
    watch.seconds = time.perf_counter() - start


def wait_until(condition, what, pause=0.002, deadline=120):
    """Wait until ``condition()`` is true."""
    latest = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > latest:
            raise TimeoutError(f"Not within {deadline} s: {what}")
        time.sleep(pause)
