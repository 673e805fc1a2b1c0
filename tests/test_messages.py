"""A message has an upload's id and its database, and is small for an image of any size."""

import base64
import json

import pytest
from django import forms
from redis import Redis

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from tests.project.models import Elsewhere, Photo

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

TITLE, FILE_NAME = "Our holidays", "grandmother at the sea.bmp"


def large_image(pixels=4096):
    """Return an uncompressed picture of 50 MB."""
    header = b"BM" + (54 + 3 * pixels * pixels).to_bytes(4, "little") + bytes(4)
    header += (54).to_bytes(4, "little") + (40).to_bytes(4, "little")
    header += pixels.to_bytes(4, "little") * 2 + b"\x01\x00\x18\x00" + bytes(24)
    return header + b"\x5a" * (3 * pixels * pixels)


def post(model, uploaded):
    form_class = forms.modelform_factory(model, AsyncImageModelForm, fields=["title", "image"])
    form_class({"title": TITLE}, {"image": uploaded}).save()


def in_the_broker(broker):
    """Return the bytes that the broker keeps of the only message in the queue."""
    if broker.name == "filesystem":
        [file] = broker.folder.glob("*.msg")
        return file.read_bytes()
    if broker.name == "redis":
        with Redis.from_url(broker.url) as redis:
            [message] = redis.lrange(f"{broker.queue}:{broker.queue}", 0, -1)
        return message
    with broker.connection() as connection:
        message = connection.default_channel.basic_get(broker.queue, no_ack=True)
        assert connection.default_channel.basic_get(broker.queue) is None
    # RabbitMQ needs fewer bytes: the body as it is, and the rest in binary form.
    properties = dict(message.properties)
    return json.dumps(
        {
            "body": base64.b64encode(message.body.encode()).decode(),
            "content-type": properties.pop("content_type"),
            "headers": properties.pop("application_headers"),
            "properties": properties,
        }
    ).encode()


def body_of(message):
    """Return the arguments of the task, from a message in the broker."""
    return json.loads(base64.b64decode(json.loads(message)["body"]))


def test_a_message_is_under_1_kib_for_an_upload_of_50_mb(broker, on_disk, media):
    data = large_image()
    assert len(data) > 50_000_000

    post(Photo, on_disk(FILE_NAME, data))

    assert len(in_the_broker(broker)) < 1024


def test_a_message_is_under_1_kib_however_long_the_name_of_the_host(broker, in_memory, monkeypatch):
    # Celery notes the host of a message. Linux allows 63 characters.
    monkeypatch.setattr("celery.utils.nodenames.gethostname", lambda: "h" * 63)

    post(Photo, in_memory())

    assert len(in_the_broker(broker)) < 1024


def test_a_message_holds_the_id_of_the_upload_and_its_database(broker, in_memory):
    post(Elsewhere, in_memory(FILE_NAME))

    arguments, keywords, _ = body_of(in_the_broker(broker))
    assert arguments == [str(Upload.objects.using("other").get().pk), "other"]
    assert keywords == {}


def test_a_message_holds_no_data_of_the_user(broker, in_memory):
    post(Photo, in_memory(FILE_NAME))

    message = in_the_broker(broker)
    text = message.decode() + json.dumps(body_of(message))
    assert "grandmother" not in text
    assert "holidays" not in text
    assert "image/jpeg" not in text


def test_a_message_is_json_and_goes_to_the_task_by_its_documented_name(broker, in_memory):
    post(Photo, in_memory())

    message = json.loads(in_the_broker(broker))
    assert message["content-type"] == "application/json"
    assert message["headers"]["task"] == "django_async_forms.save_image"


def test_each_upload_has_its_own_message(broker, in_memory):
    for _ in range(3):
        post(Photo, in_memory())

    with broker.connection() as connection:
        queue = connection.SimpleQueue(broker.queue)
        named = {queue.get(block=True, timeout=10).payload[0][0] for _ in range(3)}
        queue.close()
    assert named == {str(pk) for pk in Upload.objects.values_list("pk", flat=True)}
