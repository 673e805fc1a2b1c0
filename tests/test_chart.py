"""The charts of the documentation can be read in light and in dark pages."""

import re

import pytest

from tests.benchmarks.theme import CHARTS, DARK, follow_theme
from tests.pages import ROOT

#: The background of the documentation in its themes.
LIGHT_PAGE, DARK_PAGE = "#ffffff", "#131416"


@pytest.fixture(params=CHARTS)
def chart(request):
    path = ROOT / "docs" / "images" / f"performance-{request.param}.svg"
    return path.read_text(encoding="utf-8")


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


def colours(chart):
    """Return the colours of lines, bars and text. The grid may be faint."""
    found = set(re.findall(r'(?:fill|stroke): (#\w{6})(?=[^{}]*"/?>)', chart)) - {"#b0b0b0"}
    assert len(found) > 1
    return found


def test_a_chart_has_no_background_of_its_own(chart):
    assert "fill: #ffffff" not in chart


def test_a_chart_brings_its_colours_for_dark_pages(chart):
    [style] = re.findall(r"<style>.*?</style>", chart, re.DOTALL)
    assert follow_theme(chart.replace(f"{style}\n ", "")) == chart


def test_each_colour_of_a_chart_stands_out_on_a_dark_page(chart):
    assert [c for c in colours(chart) if contrast(DARK.get(c, c), DARK_PAGE) < 4.5] == []


def test_each_colour_of_a_chart_stands_out_on_a_light_page(chart):
    assert [c for c in colours(chart) if contrast(c, LIGHT_PAGE) < 3] == []
