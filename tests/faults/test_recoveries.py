"""The times of recovery: when each begins and ends, and which kill it belongs to."""

from types import SimpleNamespace

from .audit import Findings, _measure_recoveries

#: The end of the faults.
QUIET_SINCE = 100


def received(upload, group, at=101):
    return {"what": "received", "upload": upload, "group": group, "at": at, "pid": group}


def began(upload, group, pid, at=102):
    return {"what": "began", "upload": upload, "group": group, "at": at, "pid": pid}


def killed(action, victim, group, at):
    note = {"what": "fault", "action": action, "victim": victim, "group": group, "at": at}
    return {**note, "pid": victim}


def measured(notes, **attached):
    facts = [SimpleNamespace(what="attached", upload=name, at=at) for name, at in attached.items()]
    findings = Findings()
    _measure_recoveries(findings, facts, notes, QUIET_SINCE)
    return findings.recoveries


def test_the_recovery_of_a_worker_is_measured_for_each_image_that_it_has_received():
    notes = [received("a", 1), received("b", 1), began("a", 1, 11), killed("kill-all", 11, 1, 110)]

    recoveries = measured(notes, a=150, b=170)

    assert sorted(recoveries["worker"]) == [(110, 40), (110, 60)]


def test_the_recovery_of_a_child_is_measured_for_its_image_only():
    notes = [received("a", 1), received("b", 1), began("a", 1, 11), killed("kill", 11, 1, 110)]

    recoveries = measured(notes, a=111, b=112)

    assert (recoveries["child"], recoveries["worker"]) == ([(110, 1)], [])


def test_a_recovery_that_is_killed_begins_again():
    notes = [received("a", 1), began("a", 1, 11), killed("kill-all", 11, 1, 110)]
    notes += [received("a", 2), began("a", 2, 21), killed("kill-all", 21, 2, 210)]

    recoveries = measured(notes, a=300)

    assert recoveries["worker"] == [(210, 90)]


def test_an_image_that_was_attached_before_the_kill_needs_no_recovery():
    notes = [received("a", 1), began("a", 1, 11), killed("kill-all", 11, 1, 110)]

    recoveries = measured(notes, a=109)

    assert recoveries["worker"] == []


def test_a_kill_before_the_quiet_is_among_other_faults():
    notes = [received("a", 1, 50), began("a", 1, 11, 51), killed("kill-all", 11, 1, 60)]

    recoveries = measured(notes, a=90)

    assert recoveries["among other faults"] == [(60, 30)]
