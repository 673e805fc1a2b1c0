"""The chart of the documentation can be read in light and in dark pages."""

import re

from tests.benchmarks.theme import DARK, follow_theme
from tests.pages import ROOT

CHART = (ROOT / "docs" / "images" / "performance.svg").read_text(encoding="utf-8")
#: The background of the documentation in its dark theme.
DARK_PAGE = "#131416"


def contrast(one, other):
    """Return the ratio of WCAG."""

    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_chart_has_no_background_of_its_own():
    assert "fill: #ffffff" not in CHART


def test_the_chart_brings_its_colours_for_dark_pages():
    [style] = re.findall(r"<style>.*?</style>", CHART, re.DOTALL)
    assert follow_theme(CHART.replace(f"{style}\n ", "")) == CHART


def test_each_colour_of_the_chart_stands_out_on_a_dark_page():
    colours = set(re.findall(r'(?:fill|stroke): (#\w{6})(?=[^{}]*"/?>)', CHART)) - {"#b0b0b0"}
    assert len(colours) > 5

    assert [c for c in colours if contrast(DARK.get(c, c), DARK_PAGE) < 4.5] == []
