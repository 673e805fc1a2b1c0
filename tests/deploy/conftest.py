"""Fixtures for the tests of the deployment, which import its project as a host does."""

import os

import pytest

from .files import DEPLOY

# The hosts need PostgreSQL. The other tests do not depend on the database: one is enough.
_DATABASE = os.environ.get("TEST_DATABASE", "sqlite")
if _DATABASE != "sqlite":
    collect_ignore_glob = ["test_[!h]*.py" if _DATABASE == "postgresql" else "test_*.py"]


@pytest.fixture
def production(monkeypatch):
    """Makes ``production`` importable from docs/deploy."""
    monkeypatch.syspath_prepend(DEPLOY)
