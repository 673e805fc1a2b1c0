"""A test runner that records how each test ended, in the JSON file that SUITES_RESULTS names."""

import json
import os
import sys
import unittest
from collections import Counter
from pathlib import Path

from django.test.runner import DiscoverRunner

#: The outcomes. A test with several, such as one with subtests, keeps the last in this order.
PASSED, SKIPPED, FAILED = "passed", "skipped", "failed"
_ORDER = (PASSED, SKIPPED, FAILED)


class RecordingResult(unittest.TextTestResult):
    """A result that also keeps the outcome of each test, and the traceback of each failure."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.outcomes = {}
        self.tracebacks = {}
        self.seconds = Counter()

    def _record(self, test, outcome, error=None):
        name = test.id()
        self.outcomes[name] = max(outcome, self.outcomes.get(name, outcome), key=_ORDER.index)
        if error is not None:
            self.tracebacks.setdefault(name, self._exc_info_to_string(error, test))

    def addDuration(self, test, elapsed):  # noqa: N802 - from Python 3.12
        super().addDuration(test, elapsed)
        self.seconds[test.id().split(".")[0]] += round(elapsed, 3)

    def addSuccess(self, test):  # noqa: N802 - unittest's name, as are those below
        super().addSuccess(test)
        self._record(test, PASSED)

    def addFailure(self, test, err):  # noqa: N802
        super().addFailure(test, err)
        self._record(test, FAILED, err)

    def addError(self, test, err):  # noqa: N802
        super().addError(test, err)
        self._record(test, FAILED, err)

    def addSkip(self, test, reason):  # noqa: N802
        super().addSkip(test, reason)
        self._record(test, SKIPPED)

    def addExpectedFailure(self, test, err):  # noqa: N802
        super().addExpectedFailure(test, err)
        self._record(test, PASSED)

    def addUnexpectedSuccess(self, test):  # noqa: N802
        super().addUnexpectedSuccess(test)
        self._record(test, FAILED)

    def addSubTest(self, test, subtest, err):  # noqa: N802
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._record(test, FAILED, err)


class RecordingRunner(DiscoverRunner):
    """Django's runner, which also writes the outcomes to a file."""

    def get_resultclass(self):
        return RecordingResult

    def suite_result(self, suite, result, **kwargs):
        patches = sys.modules.get("tests.django_suites.patches")
        data = {
            "attached": patches.counts["attached"] if patches else 0,
            "seconds": dict(result.seconds.most_common()),
            "outcomes": result.outcomes,
            "tracebacks": result.tracebacks,
        }
        Path(os.environ["SUITES_RESULTS"]).write_text(json.dumps(data, indent=1))
        return super().suite_result(suite, result, **kwargs)
