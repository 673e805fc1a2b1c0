"""What tests of the deployment share: its project is imported as a host would."""

import os

import pytest

from .files import DEPLOY

if os.environ.get("TEST_DATABASE", "sqlite") == "mariadb":
    # It is a deployment on PostgreSQL. SQLite is there for those who have none.
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def production(monkeypatch):
    """Has ``production`` imported from docs/deploy."""
    monkeypatch.syspath_prepend(DEPLOY)
