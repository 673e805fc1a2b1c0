"""What the deployment's site tells those who watch it, and the alerts and the dashboard on it."""

import json
import re

import pytest
from django.http import HttpResponse
from prometheus_client.parser import text_string_to_metric_families

from .files import DEPLOY

pytestmark = pytest.mark.django_db(databases=["default", "other"])


@pytest.fixture
def ask(production, rf):
    """Requests a path of the site; returns the body of the response."""
    from production.watch import watch

    site = watch(lambda request: HttpResponse("the site itself"))
    return lambda path, **headers: site(rf.get(path, headers=headers)).text


@pytest.fixture
def scraped(ask):
    """The names of all samples, as Prometheus reads them from the site."""
    families = text_string_to_metric_families(ask("/metrics"))
    samples = {sample.name for family in families for sample in family.samples}
    return {name for name in samples if name.startswith("async_forms_") and "_created" not in name}


def test_the_site_says_that_it_answers_and_does_not_ask_the_database(
    ask, django_assert_num_queries
):
    with django_assert_num_queries(0):
        assert ask("/alive") == "ok\n"


@pytest.mark.parametrize("path", ["/ready", "/health"])
def test_the_site_says_that_images_are_saved(ask, path):
    assert ask(path) == "ok\n"


@pytest.mark.parametrize("path", ["/alive", "/ready", "/health", "/metrics"])
def test_these_pages_are_not_served_through_the_proxy(ask, path):
    assert ask(path, **{"X-Forwarded-Proto": "https"}) == "the site itself"


def test_each_log_record_to_look_for_is_in_the_reference_with_its_level():
    page = (DEPLOY / "watch.rst").read_text()
    reference = (DEPLOY.parent / "reference.rst").read_text()

    records = re.findall(r"\* - (ERROR|WARNING|INFO) ``([a-z_.]+)``", page)

    assert len(records) > 5
    for level, event in records:
        assert re.search(rf"\* - {level}\n     - ``.*\n     - ``{event}``", reference), event


def expressions():
    """Return the expressions of the dashboard."""
    panels = json.loads((DEPLOY / "grafana.json").read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def names_in(text):
    return set(re.findall(r"async_forms_\w+", text))


def test_each_metric_of_the_alerts_is_scraped(scraped):
    assert names_in((DEPLOY / "alerts.yaml").read_text()) <= scraped


def test_each_metric_of_the_dashboard_is_scraped_and_each_scraped_one_is_there(scraped):
    shown = set.union(*map(names_in, expressions()))

    assert shown <= scraped
    families = {re.sub("_(bucket|count|sum|total)$", "", name) for name in scraped}
    assert {re.sub("_(bucket|count|sum|total)$", "", name) for name in shown} == families


def test_each_metric_of_the_page_is_scraped(scraped):
    page = re.findall(r"``(async_forms_\w+)``", (DEPLOY / "watch.rst").read_text())

    families = {re.sub("_(bucket|count|sum|total)$", "", name) for name in scraped}
    assert set(page) == families


def test_the_panels_of_the_dashboard_do_not_overlap():
    panels = json.loads((DEPLOY / "grafana.json").read_text())["panels"]
    cells = [
        (x, y)
        for panel in panels
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)
