"""The uploaded images of these tests."""

import pytest


def with_data(uploaded):
    uploaded.data = uploaded.read()
    uploaded.seek(0)
    return uploaded


@pytest.fixture
def image(in_memory):
    """An uploaded image; ``image.data`` are its bytes."""
    return with_data(in_memory())


@pytest.fixture(params=["in_memory", "on_disk"])
def any_image(request):
    """An uploaded image of each kind that Django makes; ``any_image.data`` are its bytes."""
    return with_data(request.getfixturevalue(request.param)())
