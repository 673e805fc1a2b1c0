"""The uploaded image of these tests."""

import pytest


@pytest.fixture
def image(in_memory):
    """An uploaded image; ``image.data`` are its bytes."""
    uploaded = in_memory()
    uploaded.data = uploaded.read()
    uploaded.seek(0)
    return uploaded
