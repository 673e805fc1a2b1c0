"""``python -m tests.benchmarks``: measure, print one table, write JSON, and draw the charts."""

import argparse
import json
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import django
from tqdm import tqdm

from .places import Places
from .processes import ROOT
from .rounds import Results

#: Each part, and about how many seconds it takes on a quiet machine: all of it, and with --quick.
PARTS = {
    "hand-off": (120, 15),
    "checksum": (240, 20),
    "worker": (120, 25),
    "load": (230, 15),
    "rows": (80, 15),
    "silent-broker": (12, 7),
    "object-store": (40, 15),
    "engines": (80, 50),
    "request": (25, 12),
    "claim": (60, 15),
    "browser": (115, 25),
    "memory": (22, 15),
    "message": (8, 8),
    "start-up": (35, 8),
}


def main():
    parser = argparse.ArgumentParser(prog="tests/benchmarks/run")
    parser.add_argument("--quick", action="store_true", help="fewer sizes, rounds and rows")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help="these parts")
    parser.add_argument("--resume", action="store_true", help="the parts that are missing")
    parser.add_argument("--series", action="store_true", help="keep the ratios of this version")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "benchmarks")
    options = parser.parse_args()

    # A run cleans up after itself, however it ends.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(1))
    options.output.mkdir(parents=True, exist_ok=True)
    file = options.output / ("quick.json" if options.quick else "results.json")
    parts = {}
    if file.exists() and (options.only or options.resume):
        parts = json.loads(file.read_text())["parts"]
    chosen = [name for name in options.only or PARTS if not (options.resume and name in parts)]
    with ExitStack() as stack:
        places = Places()
        stack.callback(places.remove)
        places.enter()
        django.setup()
        places.make_database(places.database)

        from . import report

        for name, results in _measure(places, chosen, options.quick):
            parts[name] = {" · ".join(what): values for what, values in results.items()}
            file.write_text(json.dumps({"machine": report.machine(), "parts": parts}, indent=1))

    results = Results()
    for name in sorted(parts, key=list(PARTS).index):
        results |= {tuple(what.split(" · ")): values for what, values in parts[name].items()}
    targets = report.targets(results)
    print(report.table(results, targets))
    print(f"\nAll values: {file}")
    is_whole = not options.quick and parts.keys() == PARTS.keys()
    folder = ROOT / "docs" / "images" if is_whole else options.output
    if options.series:
        report.keep_series(results, folder / "performance-series.csv")
    report.write_csv(results, targets, folder)

    from . import chart

    for path in chart.draw_all(results, folder):
        print(f"Drawn: {path}")


def _measure(places, chosen, quick):
    """Yield the name and the results of each part, once it is measured."""
    steps = _steps(quick)
    seconds = {name: PARTS[name][quick] for name in chosen}
    layout = "{percentage:3.0f}% |{bar:30}| {elapsed} {postfix}"
    # Without a terminal, it shows nothing.
    with tqdm(total=sum(seconds.values()), bar_format=layout, disable=None) as bar:

        def progress(text):
            bar.set_postfix_str(f"{text:60.60}")

        for name in chosen:
            results = Results()
            steps[name](results, places, progress=progress)
            bar.update(seconds[name])
            yield name, results


def _steps(quick):
    """Return a function for each part."""
    from functools import partial

    from . import (
        broker_silent,
        browser,
        checksum,
        claims,
        engines,
        hand_off,
        images,
        load,
        memory,
        messages,
        object_store,
        rows,
        startup,
        whole_request,
        worker_speed,
    )

    def part(module, **arguments):
        """Take the second value of each pair for a quick run."""
        return partial(module.measure, **{name: v[quick] for name, v in arguments.items()})

    kb, mb = 1000, images.MB
    sizes = hand_off.SIZES, [100 * kb, 5 * mb]
    return {
        "hand-off": part(hand_off, sizes=sizes, rounds=(30, 3)),
        "checksum": part(
            checksum, sizes=([100 * kb, mb, 5 * mb, 20 * mb], [5 * mb]), rounds=(30, 5)
        ),
        "worker": part(
            worker_speed,
            sizes=([100 * kb, mb, 5 * mb, 20 * mb], [100 * kb, 5 * mb]),
            uploads=(20, 10),
            rounds=(7, 2),
        ),
        "load": part(load, sizes=([100 * kb, mb], [100 * kb]), requests=(8, 4), rounds=(18, 2)),
        "rows": part(rows, rows=([100, 1_000_000], [100, 10_000]), rounds=(25, 5)),
        "silent-broker": part(broker_silent, size=(100 * kb,) * 2, rounds=(200, 15)),
        "object-store": part(object_store, size=(mb, mb), uploads=(200, 80), rounds=(3, 1)),
        "engines": part(engines, uploads=(30, 10), rounds=(5, 2)),
        "request": part(whole_request, size=(5 * mb,) * 2, rounds=(25, 4)),
        "claim": part(claims, sizes=sizes, rounds=(40, 10)),
        "browser": part(browser, size=(5 * mb, mb), rounds=(5, 1)),
        "memory": part(memory, sizes=(memory.SIZES, memory.SIZES[::2]), rounds=(1, 1)),
        "message": part(messages, size=(5 * mb,) * 2),
        "start-up": part(startup, rounds=(25, 3)),
    }


if __name__ == "__main__":
    main()
