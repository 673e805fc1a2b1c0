"""``python -m tests.benchmarks``: measure, print one table, write JSON, and draw the chart."""

import argparse
import json
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import django
from tqdm import tqdm

from .places import Places
from .processes import ROOT, ObjectStore
from .rounds import Results

PARTS = [
    "hand-off",
    "request",
    "claim",
    "browser",
    "worker",
    "memory",
    "message",
    "growth",
    "start-up",
]


def main():
    parser = argparse.ArgumentParser(prog="tests/benchmarks/run")
    parser.add_argument("--quick", action="store_true", help="two minutes")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "benchmarks")
    options = parser.parse_args()

    # A run cleans up after itself, however it ends.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(1))
    results = Results()
    with ExitStack() as stack:
        places = Places()
        stack.callback(places.remove)
        if "hand-off" in options.only:
            store = stack.enter_context(ObjectStore(places))
            places.chosen["s3"] = store.url
        places.enter()
        django.setup()
        for database in places.databases:
            places.make_database(database)
        _measure(results, places, options)

    from . import chart, report

    options.output.mkdir(parents=True, exist_ok=True)
    targets = report.targets(results)
    text = report.table(results, targets)
    print(text)
    (options.output / "results.json").write_text(
        json.dumps(report.as_json(results, targets), indent=1)
    )
    if "hand-off" in options.only:
        chart.draw(results, options.output / "performance.svg")
    print(f"\nAll values: {options.output / 'results.json'}")
    if not options.quick and options.only == PARTS:
        images = ROOT / "docs" / "images"
        images.mkdir(exist_ok=True)
        chart.draw(results, images / "performance.svg")
        report.write_csv(results, targets, images)
        print(f"The chart and the tables of the documentation: {images}")


def _measure(results, places, options):
    from . import (
        browser,
        claims,
        growth,
        hand_off,
        images,
        memory,
        messages,
        startup,
        whole_request,
        worker_speed,
    )

    quick, mb = options.quick, images.MB
    sizes = [5 * mb] if quick else hand_off.SIZES
    steps = {  # Each part: about how many seconds it takes on a quiet machine, and a function.
        "hand-off": (
            20 if quick else 120,
            lambda: hand_off.measure(results, places, sizes, 3 if quick else 9, progress),
        ),
        "request": (
            15 if quick else 60,
            lambda: whole_request.measure(results, places, 5 * mb, 3 if quick else 20, progress),
        ),
        "claim": (
            20 if quick else 90,
            lambda: claims.measure(results, places, sizes, 15 if quick else 60, progress),
        ),
        "browser": (
            20 if quick else 180,
            lambda: browser.measure(
                results, places, mb if quick else 5 * mb, 1 if quick else 5, progress
            ),
        ),
        "worker": (
            25 if quick else 90,
            lambda: worker_speed.measure(
                results,
                places,
                [100_000, 5 * mb] if quick else [100_000, mb, 5 * mb, 20 * mb],
                10,
                2 if quick else 5,
                progress,
                quick,
            ),
        ),
        "memory": (
            15 if quick else 40,
            lambda: memory.measure(
                results, places, memory.SIZES[::2] if quick else memory.SIZES, 1, progress
            ),
        ),
        "message": (2, lambda: messages.measure(results, places, 5 * mb, progress)),
        "growth": (
            10 if quick else 120,
            lambda: growth.measure(
                results,
                places,
                places.growth[:2] if quick else places.growth,
                2 if quick else 15,
                progress,
            ),
        ),
        "start-up": (
            3 if quick else 8,
            lambda: startup.measure(results, 3 if quick else 9, progress),
        ),
    }
    seconds = sum(steps[name][0] for name in options.only)
    layout = "{percentage:3.0f}% |{bar:30}| {elapsed} {postfix}"
    with tqdm(total=seconds, bar_format=layout) as bar:

        def progress(text):
            bar.set_postfix_str(f"{text:60.60}")

        for name in options.only:
            weight, measure = steps[name]
            measure()
            bar.update(weight)


if __name__ == "__main__":
    main()
