"""Draws the charts of the documentation, each from the results that it needs."""

from functools import partial

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

from .hand_off import SIZES
from .images import MB, label
from .report import SERIES, percentiles, read_series, targets
from .theme import BY_HAND, CHARTS, DATABASE, DRAFT, FILES, MESSAGE, NEUTRAL, PLAIN, follow_theme

#: Each case of the hand-off, its line in the chart, its colour, style and width.
LINES = [
    ("files", "files", FILES, "-", 2.2),
    ("database", "database", DATABASE, "-", 2.2),
    ("files, a draft", "a draft, files", DRAFT, "-", 2.2),
    ("by hand", "by hand", BY_HAND, "--", 1.4),
    ("pickle in the message", "pickled in the message", MESSAGE, "--", 1.4),
    ("plain, 50 ms away", "plain Django, storage 50 ms away", NEUTRAL, "--", 1.4),
    ("plain, 200 ms away", "plain Django, storage 200 ms away", PLAIN, "--", 1.4),
]


def draw_all(results, folder):
    """Draw each chart whose part was measured, and return the paths."""
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "performance", "font.size": 10})
    draw = {
        "hand-off": _hand_off,
        "save": _save,
        "drained": _drained,
        "engines": _engines,
        "load": _load,
        "series": partial(_series, folder / "performance-series.csv"),
    }
    paths = []
    for name in CHARTS:
        figure = draw[name](results)
        if figure is not None:
            path = folder / f"performance-{name}.svg"
            figure.savefig(path, metadata={"Date": None})
            plt.close(figure)
            svg = follow_theme(path.read_text(encoding="utf-8"))
            path.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", "utf-8")
            paths.append(path)
    return paths


def _hand_off(results):
    if ("difference", "hand-off", "5 MB", "files") not in results:
        return None
    figure, axes = plt.subplots(figsize=(8, 4.4), layout="constrained")
    for case, name, colour, style, width in LINES:
        medians = {
            size / MB: results.median("difference", "hand-off", label(size), case) for size in SIZES
        }
        points = [(size, median * 1000) for size, median in medians.items() if (median or 0) > 0]
        if points:
            axes.plot(
                *zip(*points, strict=True),
                style,
                color=colour,
                linewidth=width,
                marker="o",
                markersize=3.5,
                label=name,
            )
    axes.set(xscale="log", yscale="log", xlabel="image, MB", ylabel="milliseconds in the request")
    axes.set_xticks([0.1, 1, 5, 20, 200], ["0.1", "1", "5", "20", "200"])
    axes.set_yticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
    axes.minorticks_off()
    axes.grid(True, alpha=0.25)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def _drained(results):
    groups, ours, by_hand = [], [], []
    for where, note in (("worker", ""), ("worker, database 1 ms away", ", 1 ms away")):
        for staging in ("files", "database"):
            for size in map(label, SIZES):
                prefix = where, size, staging
                rate = results.median(*prefix, "uploads/s")
                if rate is not None:
                    groups.append(f"{staging}{note}, {size}")
                    ours.append(rate)
                    by_hand.append(results.median(*prefix, "by hand/s"))
    bars = {"this package": (FILES, ours), "by hand": (BY_HAND, by_hand)}
    return _bars(groups, bars, "uploads a second, one process")


def _load(results):
    cases = {
        "received and discarded": NEUTRAL,
        "saved without the image": PLAIN,
        "by hand": BY_HAND,
        "files": FILES,
        "database": DATABASE,
        "no image": MESSAGE,
        "files, a draft": DRAFT,
    }
    sizes = [size for size in map(label, SIZES) if ("load", size, "files") in results]
    bars = {
        name: (colour, [percentiles(results["load", size, name])[2] * 1000 for size in sizes])
        for name, colour in cases.items()
    }
    return _bars(sizes, bars, "milliseconds, p99 of 16 clients", decimals=0)


def _save(results):
    names = {
        "no image": "no image",
        "a draft": "sent while typing",
        "the image with the form": "with the form",
    }
    sizes = [size for size in map(label, SIZES) if ("browser", size, "a draft") in results]
    seconds = [results.median("browser", size, name) for size in sizes for name in names]
    return _bars(list(names.values()) * len(sizes), {"": (FILES, seconds)}, "seconds", decimals=1)


def _engines(results):
    names = [what[2] for what in results if what[0] == "engines" and what[-1] == "uploads/s"]
    bars = {
        legend: (colour, [results.median("engines", "100 KB", name, case) for name in names])
        for legend, colour, case in (
            ("this package", FILES, "uploads/s"),
            ("by hand", BY_HAND, "by hand/s"),
        )
    }
    return _bars(names, bars, "uploads a second, 100 KB, one process")


def _bars(groups, bars, unit, decimals=0):
    """Return a chart with a bar of each colour for each group, or None without a group."""
    if not groups:
        return None
    count = len(bars)
    rows = len(groups) * (count + 0.6)
    figure, axes = plt.subplots(figsize=(8, 0.7 + 0.22 * rows), layout="constrained")
    for number, (name, (colour, values)) in enumerate(bars.items()):
        places = [group + (number + 0.5) / (count + 0.6) for group in range(len(groups))]
        drawn = axes.barh(places, values, 0.85 / (count + 0.6), color=colour, label=name)
        axes.bar_label(drawn, fmt=f"%.{decimals}f", padding=3, fontsize=9)
    middle = count / 2 / (count + 0.6)
    axes.set_yticks([group + middle for group in range(len(groups))], groups)
    axes.invert_yaxis()
    axes.set(xlabel=unit)
    axes.spines[["top", "right"]].set_visible(False)
    if count > 1:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def _series(file, results):
    """One small chart for each ratio: its value in each version, and its target."""
    series = read_series(file)
    if not series:
        return None
    limits = {target.what: target.limit for target in targets(results)}
    versions = [row["Version"] for row in series]
    figure, grid = plt.subplots(2, 5, figsize=(10, 4), layout="constrained")
    for axes, (name, what) in zip(grid.flat, SERIES.items(), strict=True):
        values = [float(row[name]) if row.get(name) else float("nan") for row in series]
        axes.plot(versions, values, "o-", color=FILES, markersize=4)
        if what in limits:
            axes.axhline(limits[what], color=BY_HAND, linestyle="--", linewidth=1)
        axes.set_title(name.replace(", ", ",\n", 1), fontsize=8)
        axes.set_ylim(0, 1.25 * max([1, limits.get(what, 0), *(v for v in values if v == v)]))
        axes.tick_params(labelsize=7)
    return figure
