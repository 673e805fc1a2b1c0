"""The benchmarks keep a series of ratios, and compare each with its target."""

import csv

import pytest

import django_async_forms
from tests.benchmarks import report
from tests.benchmarks.rounds import Results, interleave
from tests.worker import ROOT


@pytest.fixture
def results():
    """The results of a worker that saves 60 uploads in a second, and 100 by hand."""
    prefix = "worker", "100 KB", "files"
    return Results({(*prefix, "uploads/s"): [60.0], (*prefix, "by hand/s"): [100.0]})


def test_a_target_is_met_at_its_limit(results):
    [target] = report.targets(results)

    assert target.what == "drained, files, 100 KB, against by hand"
    assert (target.target, target.found, target.verdict) == (
        "at least 0.6 times",
        "0.60 times",
        "met",
    )


def test_a_target_is_missed_below_its_limit(results):
    results["worker", "100 KB", "files", "uploads/s"] = [59.0]

    [target] = report.targets(results)

    assert target.verdict == "missed"


def test_the_series_keeps_one_line_for_each_version(results, tmp_path, monkeypatch):
    path = tmp_path / "series.csv"
    monkeypatch.setattr(django_async_forms, "__version__", "1.0")
    report.keep_series(results, path)
    report.keep_series(results, path)
    monkeypatch.setattr(django_async_forms, "__version__", "1.1")
    report.keep_series(results, path)

    ratios = [(row["Version"], row["drained, files, 100 KB"]) for row in report.read_series(path)]
    assert ratios == [("1.0", "0.60"), ("1.1", "0.60")]


def test_the_series_keeps_ratios_that_have_a_target_on_the_page():
    with (ROOT / "docs" / "images" / "performance-targets.csv").open(newline="") as file:
        found = {row["What"] for row in csv.DictReader(file)}

    assert set(report.SERIES.values()) <= found


def test_each_round_runs_each_case_once_and_keeps_all_of_its_values():
    results = Results()
    cases = {"one": lambda: 1.0, "many": lambda: [2.0, 3.0]}

    interleave(results, ("part",), cases, rounds=2, progress=lambda text: None)

    assert results == {("part", "one"): [1.0, 1.0], ("part", "many"): [2.0, 3.0, 2.0, 3.0]}
