"""Who visits the sites of the pages, and where this is tested."""

import os

import pytest

from tests.browser.conftest import CHROMIUM, chromium  # noqa: F401
from tests.tutorial.visitor import InABrowser, OverHTTP

if os.environ.get("TEST_DATABASE", "sqlite") != "sqlite":
    # The pages name their own database, so once is enough.
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="module")
def visitor(request):
    """A person with a browser where there is one, else a client."""
    if CHROMIUM is None:
        return OverHTTP()
    return InABrowser(request.getfixturevalue("chromium").new_page())
