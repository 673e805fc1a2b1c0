"""A broker that is down, silent or back again: forms respond in time, and no image is lost."""

import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager

import pytest
from django import forms
from django.core.management import call_command
from django.utils import timezone

from django_async_forms import delivery
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.uploads import save_image
from tests import pictures, services
from tests.project.models import Photo, Triptych
from tests.worker import (
    Workers,
    sending_to,
    sending_to_broker,
    wait_until,
    wait_until_no_upload_is_left,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

PhotoForm = forms.modelform_factory(Photo, AsyncImageModelForm, fields=["title", "image"])
TriptychForm = forms.modelform_factory(
    Triptych, AsyncImageModelForm, fields=["left", "middle", "right"]
)

#: "At most about a second", on a busy machine.
IN_TIME = 10


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextmanager
def closed():
    """A port that refuses connections, like a stopped broker."""
    yield free_port()


@contextmanager
def silent():
    """A port that accepts connections and never answers, like a hanging broker."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield server.getsockname()[1]


@contextmanager
def swallowing():
    """A port that leaves connections without an answer, like a host behind a firewall."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        waiting = []
        while _connects(port, waiting):
            pass
        yield port
        for client in waiting:
            client.close()


def _connects(port, clients):
    client = socket.socket()
    client.settimeout(0.2)
    clients.append(client)
    try:
        client.connect(("127.0.0.1", port))
    except TimeoutError:
        return False
    return True


@pytest.fixture(params=[closed, silent, swallowing])
def port(request):
    with request.param() as port:
        yield port


def over_redis(port):
    return sending_to(f"redis://127.0.0.1:{port}/0")


def over_amqp(port):
    return sending_to(f"amqp://guest:guest@127.0.0.1:{port}//")


def over_sqs(port):
    pytest.importorskip("kombu.transport.SQS", exc_type=ImportError)
    queue = {"url": f"http://127.0.0.1:{port}/1/images", "access_key_id": "a"}
    options = {
        "region": "eu-west-1",
        "is_secure": False,
        "predefined_queues": {"images": {**queue, "secret_access_key": "b"}},
    }
    return sending_to(
        f"sqs://key:secret@127.0.0.1:{port}",
        broker_transport_options=options,
        task_default_queue="images",
    )


@pytest.fixture(params=[over_redis, over_amqp, over_sqs])
def broken(request, port, asking_anew, monkeypatch):
    """Makes this process send to a broker that does not answer."""
    monkeypatch.setattr(delivery, "_threads", {})
    with request.param(port):
        yield
        # The messages that requests have left to the background thread.
        wait_until(lambda: delivery.finish(), "the thread has sent them")


def save_three(in_memory):
    """Save a form with three images; return the instance and the duration in seconds."""
    images = {name: in_memory() for name in TriptychForm.base_fields}
    started_at = time.monotonic()
    triptych = TriptychForm({}, images).save()
    return triptych, time.monotonic() - started_at


def test_a_form_with_three_images_is_saved_in_time_without_an_error(broken, in_memory):
    triptych, seconds = save_three(in_memory)

    assert seconds < IN_TIME
    assert Triptych.objects.filter(pk=triptych.pk).exists()
    assert Upload.objects.for_instance(triptych).pending().count() == 3


def test_an_upload_that_was_not_sent_is_due_for_recovery_immediately(broken, in_memory):
    save_three(in_memory)

    assert Upload.objects.due().count() == 3


def test_recovery_ends_in_time_and_leaves_the_uploads_pending(broken, in_memory):
    save_three(in_memory)
    started_at = time.monotonic()

    call_command("async_uploads", "recover")

    assert time.monotonic() - started_at < IN_TIME
    assert Upload.objects.pending().count() == 3


def test_a_broker_that_was_silent_is_not_asked_again_by_the_next_form(broken, in_memory):
    save_three(in_memory)

    seconds = [save_three(in_memory)[1] for _ in range(5)]

    assert sum(seconds) < IN_TIME


@pytest.mark.parametrize("broker_name", ["redis", "rabbitmq"], indirect=True)
@pytest.mark.parametrize("port", [silent], indirect=True)
def test_the_next_broker_of_a_list_gets_the_message_after_one_that_is_silent(
    broker, port, settings, in_memory
):
    settings.ASYNC_FORMS = {"PUBLISH_TIMEOUT": 0.2, "PUBLISH_PAUSE": 0.01}
    scheme = broker.url.partition(":")[0]
    with sending_to(
        f"{scheme}://127.0.0.1:{port}/;{broker.url}",
        broker_transport_options=broker.options,
        task_default_queue=broker.queue,
    ):
        wait_until(lambda: not is_left_to_recovery(in_memory), "a message is sent")

    with broker.connection() as connection:
        assert connection.default_channel.basic_get(broker.queue, no_ack=True)


def is_left_to_recovery(in_memory):
    upload = save_image(in_memory(), Photo.objects.create())
    return Upload.objects.due().filter(pk=upload.pk).exists()


@pytest.mark.parametrize("broker_name", ["redis", "rabbitmq"], indirect=True)
def test_images_that_no_broker_took_are_attached_once_there_is_one(broker, workers, in_memory):
    scheme, data = broker.url.partition(":")[0], pictures.jpeg()
    with sending_to(f"{scheme}://127.0.0.1:{free_port()}/"):
        PhotoForm({"title": "Dune"}, {"image": in_memory(data=data)}).save()
    assert Upload.objects.pending().count() == 1

    workers.start()
    call_command("async_uploads", "recover")
    wait_until_no_upload_is_left()

    assert pictures.stored(Photo.objects.get().image) == data


class RedisServer:
    """The test's own Redis server, which the test can stop and start."""

    def __init__(self, folder):
        self._folder = folder
        self._port = free_port()
        self.broker = services.Broker("redis", f"redis://127.0.0.1:{self._port}/0")

    def start(self):
        command = ["redis-server", "--port", str(self._port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--appendonly", "no", "--dir", str(self._folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until(lambda: services.is_listening("127.0.0.1", self._port), "Redis listens")

    def stop(self):
        self._process.kill()
        self._process.wait()

    @contextmanager
    def hanging(self):
        """Let the server keep its connections open without answering."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


@pytest.fixture
def redis(tmp_path, asking_anew, witness, transactional_db):
    """The test's own running Redis server, to which this process sends. It must end empty."""
    if shutil.which("redis-server") is None:
        services.miss("redis-server is not installed")
    server = RedisServer(tmp_path)
    server.start()
    with sending_to_broker(server.broker):
        yield server
    server.stop()


@pytest.fixture
def redis_workers(redis, tmp_path):
    """Starts workers for that server."""
    workers = Workers(redis.broker, tmp_path)
    yield workers
    workers.kill()
    print(workers.log.read_text(errors="replace"))  # Shown when the test has failed.


def save_photo(uploaded):
    """Save a form with an image; return the duration in seconds."""
    started_at = time.monotonic()
    PhotoForm({"title": "Dune"}, {"image": uploaded}).save()
    return time.monotonic() - started_at


@pytest.mark.usefixtures("patient")
def test_no_upload_is_lost_when_redis_is_stopped_and_started_again(redis, redis_workers, in_memory):
    data = pictures.jpeg()
    save_photo(in_memory())  # This makes a connection, which dies with the server.
    redis.stop()

    assert save_photo(in_memory(data=data)) < IN_TIME
    assert Upload.objects.due().count() == 1

    redis.start()
    redis_workers.start()
    Upload.objects.update(due_at=timezone.now())  # The first message was lost with the server.
    call_command("async_uploads", "recover")
    wait_until_no_upload_is_left()
    assert pictures.stored(Photo.objects.latest("pk").image) == data


def test_no_upload_is_lost_when_redis_hangs_with_an_open_connection(redis, in_memory):
    save_photo(in_memory())

    with redis.hanging():
        assert save_photo(in_memory()) < IN_TIME

    assert Upload.objects.pending().count() == 2


@pytest.mark.usefixtures("patient")
def test_no_message_is_lost_on_a_connection_that_died_while_idle(redis, in_memory):
    save_photo(in_memory())
    redis.stop()
    redis.start()

    save_photo(in_memory())

    with redis.broker.connection() as connection:
        message = connection.SimpleQueue(redis.broker.queue).get(timeout=IN_TIME)
    assert message.payload[0][0] == str(Upload.objects.latest("created_at").pk)


def test_a_worker_continues_when_its_broker_is_back(redis, redis_workers, in_memory):
    data = pictures.jpeg()
    redis_workers.start()
    redis.stop()
    save_photo(in_memory(data=data))

    redis.start()
    call_command("async_uploads", "recover")
    wait_until_no_upload_is_left()

    assert pictures.stored(Photo.objects.get().image) == data


def test_a_request_is_answered_in_time_with_an_error_in_the_log_only(broken, client, caplog):
    started_at = time.monotonic()

    with pictures.as_file(pictures.jpeg()) as image:
        image.name = "dune.jpg"
        response = client.post("/photos/add/", {"title": "Dune", "image": image})

    assert time.monotonic() - started_at < IN_TIME
    assert response.status_code == 302
    [upload] = Upload.objects.pending()
    message = f"Upload {upload.pk}: not sent, left to recovery"
    wait_until(lambda: message in caplog.text, "the log says that it is not sent")
    wait_until(lambda: Upload.objects.due().exists(), "it is due for recovery")
