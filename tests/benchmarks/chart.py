"""Draws the chart of the documentation: the time of a hand-off by the size of the image."""

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

from .hand_off import SIZES
from .images import MB, label
from .theme import follow_theme

#: Each case and its line: strong lines for this package, thin lines for the others.
LINES = [
    ("files, no fsync", "files, without fsync", "#1b7f3b", "-", 2.2),
    ("files, on disk", "files", "#55b36b", "-", 2.2),
    ("files, on disk as they arrive", "files, written as they arrive", "#9acb3c", "-", 2.2),
    ("database", "database", "#1f5fa8", "-", 2.2),
    ("one binary INSERT", "one binary INSERT", "#1f5fa8", ":", 1.2),
    ("rename, fsync and insert", "rename + fsync + insert", "#55b36b", ":", 1.2),
    ("pickle in the message", "pickled in the message", "#b3412e", "--", 1.2),
    ("JSON in the message", "as JSON in the message", "#d98a2b", "--", 1.2),
    ("plain, 50 ms away", "plain Django, storage 50 ms away", "#777777", "--", 1.2),
    ("plain, 200 ms away", "plain Django, storage 200 ms away", "#333333", "--", 1.2),
]


def draw(results, path):
    """Draw the hand-off on the last measured database, which has all cases."""
    databases = [what[3] for what in results if what[:2] == ("difference", "hand-off")]
    database = databases[-1]
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "performance", "font.size": 10})
    figure, axes = plt.subplots(figsize=(8, 4.8), layout="constrained")
    for case, name, colour, style, width in LINES:
        points = [
            (size / MB, median * 1000)
            for size in SIZES
            if (median := results.median("difference", "hand-off", label(size), database, case))
            and median > 0
        ]
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
    axes.minorticks_off()
    axes.grid(True, alpha=0.25)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    path.write_text(follow_theme(path.read_text(encoding="utf-8")), encoding="utf-8")
