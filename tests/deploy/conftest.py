"""What tests of the deployment share: its project is imported as a host would."""

import os

import pytest

from .files import DEPLOY

# The hosts need PostgreSQL. The rest does not depend on the database, so one of them is enough.
_DATABASE = os.environ.get("TEST_DATABASE", "sqlite")
if _DATABASE != "sqlite":
    collect_ignore_glob = ["test_[!h]*.py" if _DATABASE == "postgresql" else "test_*.py"]


@pytest.fixture
def production(monkeypatch):
    """Has ``production`` imported from docs/deploy."""
    monkeypatch.syspath_prepend(DEPLOY)
