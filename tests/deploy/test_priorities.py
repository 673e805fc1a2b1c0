"""Images before other tasks in one queue, on the brokers that have priorities."""

import pytest
from django import forms

from django_async_forms.forms import AsyncImageModelForm
from tests import services
from tests.project.models import Photo
from tests.worker import sending_to

pytestmark = pytest.mark.django_db(transaction=True)

SAVE_IMAGE = "django_async_forms.save_image"
#: The documented settings for each broker.
SETTINGS = {
    "rabbitmq": {
        "task_queue_max_priority": 5,
        "task_routes": {"django_async_forms.*": {"priority": 5}},
    },
    "redis": {
        "broker_transport_options": {"queue_order_strategy": "priority"},
        "task_routes": {"django_async_forms.*": {"priority": 0}, "*": {"priority": 9}},
    },
}


def newsletter():
    """Another task, for which nobody waits."""


@pytest.mark.parametrize("name", SETTINGS)
def test_an_image_overtakes_tasks_that_were_there_before(name, patient, in_memory):
    services.need_broker(name)
    broker = services.Broker(name, services.BROKERS[name])
    settings = dict(SETTINGS[name])
    options = {**broker.options, **settings.pop("broker_transport_options", {})}
    form_class = forms.modelform_factory(Photo, AsyncImageModelForm, fields=["title", "image"])

    with sending_to(
        broker.url, task_default_queue=broker.queue, broker_transport_options=options, **settings
    ) as app:
        app.task(newsletter, name="newsletter").delay()
        form_class({"title": "Dune"}, {"image": in_memory()}).save()
        with app.connection_for_read() as connection:
            channel = connection.default_channel
            messages = [channel.basic_get(broker.queue, no_ack=True) for _ in range(2)]
    broker.remove()

    assert [message.headers["task"] for message in messages] == [SAVE_IMAGE, "newsletter"]
