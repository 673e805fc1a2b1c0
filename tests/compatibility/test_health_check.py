"""django-health-check: its view and its command report whether images are being saved."""

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone

from django_async_forms.models import Upload

from . import libraries

libraries.need("django-health-check")

from health_check.views import HealthCheckView  # noqa: E402

# The view works in another thread, which sees what is committed.
pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def ask(async_rf):
    """Asks the view for JSON; returns its status and its text."""
    view = HealthCheckView.as_view(checks=["django_async_forms.health_check.UploadHealthCheck"])

    async def ask():
        answer = await view(async_rf.get("/health/?format=json"))
        return answer.status_code, answer.content.decode()

    return ask


def test_the_view_says_that_all_is_well(ask):
    assert async_to_sync(ask)() == (200, '{"UploadHealthCheck()": "OK"}')


def test_the_view_says_that_an_image_waits(ask, new_upload):
    new_upload()
    past = timezone.now() - timedelta(minutes=11)
    Upload.objects.update(created_at=past, pending_since=past)

    status, text = async_to_sync(ask)()

    assert status == 500
    assert "Unavailable: An image for the database default has been pending" in text
