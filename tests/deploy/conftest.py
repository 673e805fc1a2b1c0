"""What tests of the deployment share: its project is imported as a host would."""

import pytest

from .files import DEPLOY


@pytest.fixture
def production(monkeypatch):
    """Has ``production`` imported from docs/deploy."""
    monkeypatch.syspath_prepend(DEPLOY)
