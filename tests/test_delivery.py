"""A message leaves after the response, or at the commit, and no request waits for the broker."""

import gc
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from contextvars import ContextVar
from types import SimpleNamespace

import pytest
from celery import Celery, current_app
from celery.signals import before_task_publish
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.forms import modelform_factory, modelformset_factory
from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client, TestCase
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from django_async_forms import after_response, background, delivery
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.tasks import save_image_task
from django_async_forms.uploads import save_image
from tests import pictures
from tests.benchmarks.processes import multipart
from tests.project.models import Elsewhere, Photo
from tests.worker import DEADLINE, ROOT, sending_to, wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "other"]),
    pytest.mark.urls(__name__),
    pytest.mark.usefixtures("asking_anew"),
]

PhotoForm = modelform_factory(Photo, AsyncImageModelForm, fields=["title", "image"])

#: The data of a tracer.
span = ContextVar("span", default=None)


@pytest.fixture(autouse=True)
def own_thread(monkeypatch):
    """The test's own background thread, because another test's may be blocked."""
    monkeypatch.setattr(delivery, "_threads", {})
    yield
    delivery.finish()


class Broker:
    """Takes each message, and notes the name of its upload's file."""

    def __init__(self):
        self.names = []

    def publish(self, upload):
        self.names.append(upload.name)


#: The instance of the running test.
broker_of_test = Broker()


@pytest.fixture
def published(monkeypatch, publish_by):
    """The names of the published uploads."""
    monkeypatch.setattr(broker_of_test, "names", [])
    publish_by(broker_of_test.publish)
    return broker_of_test.names


def seen():
    """Return the published messages, after the time that the thread needs."""
    delivery.finish()
    return list(broker_of_test.names)


class Held:
    """A broker that takes a message and does not answer until it is released."""

    def __init__(self):
        self.asked, self.answered = [], []
        self._let_go = threading.Event()

    def publish(self, upload):
        self.asked.append(upload.name)
        self._let_go.wait(DEADLINE)
        self.answered.append(upload.name)

    def let_go(self):
        self._let_go.set()


@pytest.fixture
def held(publish_by):
    held = Held()
    publish_by(held.publish)
    yield held
    held.let_go()


@pytest.fixture
def image():
    """Makes the data of a client's post."""

    def make(name="dune.jpg"):
        file = pictures.as_file(pictures.jpeg())
        file.name = name
        return {"title": "Dune", "image": file}

    return make


def save(uploaded):
    form = PhotoForm({"title": "Dune"}, {"image": uploaded})
    assert form.is_valid(), form.errors
    return form.save()


def form_view(request):
    save(request.FILES["image"])
    return HttpResponse(f"published in the view: {seen()}")


def nested_view(request):
    with transaction.atomic():
        with transaction.atomic():
            save(request.FILES["image"])
        inside = list(seen())
    return HttpResponse(f"published in the view: {inside + seen()}")


def failing_view(request):
    save(request.FILES["image"])
    raise ZeroDivisionError


def rolled_back_view(request):
    with transaction.atomic():
        save(request.FILES["image"])
        transaction.set_rollback(True)
    return HttpResponse(f"published in the view: {seen()}")


@csrf_exempt
def streaming_view(request):
    photo = save(request.FILES["image"])

    def parts():
        yield f"photo {photo.pk}, "
        moment.wait(DEADLINE)
        yield f"published in the view: {seen()}"

    return StreamingHttpResponse(parts())


#: Set to let the streaming view continue.
moment = threading.Event()


def formset_view(request):
    formset_class = modelformset_factory(Photo, AsyncImageModelForm, fields=["title", "image"])
    formset = formset_class(
        {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 0, "form-0-title": "Dune"},
        {"form-0-image": request.FILES["image"]},
        queryset=Photo.objects.none(),
    )
    assert formset.is_valid(), formset.errors
    [photo] = formset.save()
    loaded = Photo.objects.get(pk=photo.pk)
    delivery.finish()  # A quick worker.
    loaded.title = "Saved once more"
    loaded.save()
    return HttpResponse()


def plain_view(request):
    save(request.FILES["image"])
    return HttpResponse()


def traced_view(request):
    token = span.set("the view's")
    save(request.FILES["image"])
    span.reset(token)
    return HttpResponse()


def forms_view(request):
    for number in range(10):
        request.FILES["image"].seek(0)
        request.FILES["image"].name = f"{number}.jpg"
        save(request.FILES["image"])
    return HttpResponse()


def state_view(request):
    return HttpResponse(str(Photo.objects.exclude(image="").count()))


def eager_view(request):
    photo = save(request.FILES["image"])
    photo.refresh_from_db()
    return HttpResponse(f"saved in the view: {bool(photo.image)}")


urlpatterns = [
    path("form/", form_view),
    path("nested/", nested_view),
    path("failing/", failing_view),
    path("rolled-back/", rolled_back_view),
    path("streaming/", streaming_view),
    path("formset/", formset_view),
    path("plain/", plain_view),
    path("traced/", traced_view),
    path("forms/", forms_view),
    path("state/", state_view),
    path("eager/", eager_view),
]


# After the response:


@pytest.mark.parametrize("page", ["/form/", "/nested/"])
def test_the_message_leaves_after_the_response(client, published, image, page):
    assert client.post(page, image()).content == b"published in the view: []"
    wait_until(lambda: published == ["dune.jpg"], "the message is published")


def test_an_instance_that_a_view_saves_again_keeps_the_attached_image(client, publish_by, image):
    def save_immediately(upload):
        save_image_task.apply((str(upload.pk), upload.using), throw=True)

    publish_by(save_immediately)

    client.post("/formset/", image())

    wait_until(lambda: not Upload.objects.exists(), "the image is saved")
    photo = Photo.objects.get()
    assert (photo.title, bool(photo.image)) == ("Saved once more", True)


def test_the_message_leaves_after_the_last_byte_of_a_streaming_response(client, published, image):
    moment.set()
    response = client.post("/streaming/", image())
    assert seen() == []

    assert b"".join(response.streaming_content).endswith(b"published in the view: []")
    wait_until(lambda: published == ["dune.jpg"], "the message is published")


def test_the_message_leaves_although_the_view_fails_after_the_commit(published, image):
    assert Client(raise_request_exception=False).post("/failing/", image()).status_code == 500
    wait_until(lambda: published == ["dune.jpg"], "the message is published")


def test_no_message_leaves_after_a_rollback(client, published, image):
    client.post("/rolled-back/", image())

    assert seen() == []


def test_messages_of_a_request_without_an_end_leave_when_the_next_begins(
    published, image, settings
):
    settings.DEBUG_PROPAGATE_EXCEPTIONS = True
    with pytest.raises(ZeroDivisionError):
        Client().post("/failing/", image())
    assert seen() == []

    Client().get("/state/")

    wait_until(lambda: published == ["dune.jpg"], "the message is published")


def test_a_request_without_an_end_is_forgotten_with_its_thread(published, image, settings):
    settings.DEBUG_PROPAGATE_EXCEPTIONS = True
    before = len(after_response._waiting)

    def answer():
        with pytest.raises(ZeroDivisionError):
            Client().post("/failing/", image())
        delivery.connections.close_all()

    thread = threading.Thread(target=answer)
    thread.start()
    thread.join()
    del thread
    gc.collect()

    assert len(after_response._waiting) == before


def test_a_message_is_sent_in_the_context_in_which_the_image_was_saved(client, publish_by, image):
    spans = []
    publish_by(lambda upload: spans.append(span.get()))

    client.post("/traced/", image())

    wait_until(lambda: spans == ["the view's"], "the message is published")


def test_a_server_sends_the_message_after_the_last_byte(live_server, published, image):
    moment.clear()
    content_type, body = multipart(image()["image"].getvalue())
    with closing(http.client.HTTPConnection(live_server.thread.host, live_server.thread.port)) as c:
        c.request("POST", "/streaming/", body, {"Content-Type": content_type})
        response = c.getresponse()
        assert response.read(6) == b"photo "
        assert seen() == []

        moment.set()

        assert response.read().endswith(b"published in the view: []")
    wait_until(lambda: published == ["photo.jpeg"], "the message is published")


# Outside a request:


def test_the_message_has_left_when_save_returns_outside_a_request(published, in_memory):
    save(in_memory())

    assert published == ["dune.jpg"]


def test_the_message_leaves_when_the_outermost_block_commits_outside_a_request(
    published, in_memory
):
    with transaction.atomic():
        with transaction.atomic():
            save(in_memory())
        assert seen() == []

    assert published == ["dune.jpg"]


def test_a_command_has_sent_its_messages_when_it_ends(published, in_memory):
    save(in_memory())
    Upload.objects.update(state=Upload.State.FAILED)
    published.clear()

    call_command("async_uploads", "retry", "--all")

    assert published == ["dune.jpg"]


@pytest.mark.django_db
def test_captured_callbacks_send_immediately(client, published, image):
    with TestCase.captureOnCommitCallbacks(execute=True):
        client.post("/form/", image())
        assert seen() == []

    assert published == ["dune.jpg"]


def test_a_thread_that_a_view_starts_sends_without_waiting_for_the_response(published, in_memory):
    after_response.begin()
    try:
        thread = threading.Thread(target=save_and_close, args=[in_memory()])
        thread.start()
        thread.join()

        assert published == ["dune.jpg"]
    finally:
        after_response.end()


def save_and_close(uploaded):
    save(uploaded)
    delivery.connections.close_all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="This system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_process_and_then_its_parent_send_messages(broker, in_memory):
    save(in_memory())
    upload = Upload.objects.get()

    child = os.fork()
    if not child:
        try:
            delivery.send(upload)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    save(in_memory())

    with broker.connection() as connection:
        queue = connection.SimpleQueue(broker.queue)
        named = [queue.get(block=True, timeout=DEADLINE).payload[0][0] for _ in range(3)]
        queue.close()
    assert named.count(str(upload.pk)) == 2


ENDING = """
import time
import django
django.setup()
from django_async_forms import after_response, delivery
from django_async_forms.models import Upload

class Slow:
    in_background = True

    def publish(self, upload):
        time.sleep(0.2)
        print("published", upload.name)

after_response.begin()
delivery.send(Upload(name="dune.jpg"))
after_response.end()
"""


def test_a_process_that_ends_after_a_request_has_sent_its_message():
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.project.settings"}
    keys = {"PUBLISH_TIMEOUT": 10, "DELIVERY": "__main__.Slow"}
    environment["TEST_ASYNC_FORMS"] = json.dumps(keys)
    command = [sys.executable, "-W", "ignore", "-c", ENDING]

    output = subprocess.check_output(command, cwd=ROOT, env=environment, timeout=DEADLINE)

    assert output == b"published dune.jpg\n"


# A broker that does not answer:


def test_neither_a_request_nor_the_next_one_waits_for_the_broker(client, held, image, settings):
    settings.ASYNC_FORMS |= {"PUBLISH_TIMEOUT": DEADLINE}

    client.post("/plain/", image())
    client.get("/state/")

    wait_until(lambda: held.asked, "the broker is asked")
    assert held.answered == []


def test_the_wait_for_the_broker_is_bounded_outside_a_request(held, in_memory):
    started_at = time.monotonic()

    save(in_memory())

    assert time.monotonic() - started_at < DEADLINE / 2
    assert Upload.objects.pending().due().count() == 1


def test_uploads_are_left_to_recovery_while_an_earlier_message_is_stuck(
    client, held, image, in_memory, settings, caplog
):
    settings.ASYNC_FORMS |= {"PUBLISH_TIMEOUT": 0.01, "PUBLISH_PAUSE": 0.01}
    client.post("/plain/", image("stuck.jpg"))
    wait_until(lambda: held.asked, "the broker is asked")
    wait_until(lambda: delivery._threads[os.getpid()].is_stuck(0.02), "the thread is stuck")

    client.post("/plain/", image("next.jpg"))
    save(in_memory("another.jpg"))

    due = Upload.objects.pending().due().values_list("name", flat=True)
    assert set(due) == {"next.jpg", "another.jpg"}
    held.let_go()
    assert seen_by(held) == ["stuck.jpg"]


def seen_by(held):
    delivery._threads[os.getpid()].finish(DEADLINE)
    return held.asked


def test_a_broker_that_is_back_is_asked_again(client, held, image, settings):
    settings.ASYNC_FORMS |= {"PUBLISH_TIMEOUT": 0.01, "PUBLISH_PAUSE": 3600}
    client.post("/plain/", image("stuck.jpg"))
    wait_until(lambda: held.asked, "the broker is asked")
    wait_until(lambda: delivery._threads[os.getpid()].is_stuck(0.02), "the thread is stuck")
    client.post("/plain/", image("left.jpg"))
    held.let_go()
    seen_by(held)

    client.post("/plain/", image("next.jpg"))

    assert seen_by(held) == ["stuck.jpg", "next.jpg"]


def test_a_request_with_many_images_asks_a_broker_that_is_down_once(client, publish_by, image):
    asked = []

    def refuse(upload):
        asked.append(upload.name)
        raise ConnectionRefusedError

    publish_by(refuse)

    client.post("/forms/", image())

    wait_until(lambda: Upload.objects.pending().due().count() == 10, "all are left to recovery")
    assert asked == ["0.jpg"]


def test_an_upload_that_cannot_be_marked_as_due_is_logged(
    monkeypatch, publish_by, in_memory, caplog, published
):
    def refuse(*args):
        raise ConnectionRefusedError

    save(in_memory())
    upload = Upload.objects.get()
    publish_by(refuse)
    monkeypatch.setattr(Upload, "mark_due", refuse)

    delivery.send(upload)

    assert f"Upload {upload.pk}: not marked as due." in caplog.text


@pytest.fixture
def uwsgi(monkeypatch):
    """The options of a simulated uWSGI."""
    uwsgi = SimpleNamespace(opt={"http": b":8000"})
    monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)
    return uwsgi.opt


def test_the_end_of_a_request_waits_in_uwsgi_without_threads(client, published, image, uwsgi):
    client.post("/form/", image())

    assert published == ["dune.jpg"]


@pytest.mark.parametrize("option", ["enable-threads", "threads"])
def test_the_end_of_a_request_does_not_wait_in_uwsgi_with_threads(
    client, held, image, uwsgi, settings, option
):
    settings.ASYNC_FORMS |= {"PUBLISH_TIMEOUT": DEADLINE}
    uwsgi[option] = b"2"

    client.post("/plain/", image())

    wait_until(lambda: held.asked, "the broker is asked")
    assert held.answered == []


# Eager tasks:


@pytest.fixture
def eager():
    with sending_to("memory://", task_always_eager=True, task_eager_propagates=True):
        yield


def test_an_eager_task_runs_after_the_response_in_the_same_thread(client, eager, image):
    assert client.post("/eager/", image()).content == b"saved in the view: False"
    assert Photo.objects.get().image
    assert not delivery._threads


def test_an_eager_task_has_run_when_save_returns_outside_a_request(eager, in_memory):
    photo = save(in_memory())

    photo.refresh_from_db()
    assert photo.image


def test_an_eager_task_that_fails_is_logged_and_stops_nothing_else(
    eager, in_memory, monkeypatch, caplog, settings
):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 2}
    with monkeypatch.context() as patched:

        def fail(*args, **kwargs):
            raise OSError("No space left")

        patched.setattr(Photo._meta.get_field("image").storage, "save", fail)
        save(in_memory())
    upload = Upload.objects.get()

    photo = save(in_memory())

    photo.refresh_from_db()
    assert photo.image
    assert f"Upload {upload.pk}: the eager task failed." in caplog.text


# A class of the project's own:


class OwnDelivery:
    """Notes what it publishes, and in which thread."""

    in_background = True
    published = []

    def publish(self, upload):
        if upload.name == "refused.jpg":
            raise ConnectionRefusedError
        connection.ensure_connection()
        self.published.append((upload.name, threading.current_thread().name))


class OwnDeliveryHere(OwnDelivery):
    """Publishes in the thread that saves the image."""

    in_background = False


class Unmakable(OwnDelivery):
    def __init__(self):
        raise ConnectionRefusedError


class OnlyPublish:
    def publish(self, upload):
        pass


@pytest.fixture(params=[OwnDelivery, OwnDeliveryHere], ids=["background", "here"])
def own(request, settings, monkeypatch):
    """Sends messages by a class of this module, and returns it."""
    settings.ASYNC_FORMS = {"DELIVERY": f"{__name__}.{request.param.__name__}"}
    monkeypatch.setattr(OwnDelivery, "published", [])
    return request.param


def test_a_class_of_the_projects_own_sends_the_message_after_the_response(own, client, image):
    moment.set()
    response = client.post("/streaming/", image())
    assert own.published == []

    b"".join(response.streaming_content)

    wait_until(lambda: own.published, "the message is published")
    here = threading.current_thread().name
    thread = "async_forms" if own.in_background else here
    assert own.published == [("dune.jpg", thread)]


def test_an_upload_that_a_class_of_the_projects_own_refuses_is_left_to_recovery(own, in_memory):
    save(in_memory("refused.jpg"))

    assert Upload.objects.pending().due().get().name == "refused.jpg"


def test_a_refused_upload_stops_no_other_where_there_is_no_broker(own, in_memory):
    save(in_memory("refused.jpg"))
    save(in_memory())

    # With a broker, the circuit breaker is open.
    assert [name for name, _ in own.published] == ([] if own.in_background else ["dune.jpg"])


def test_a_class_of_the_projects_own_leaves_no_connection_open(own, in_memory):
    save(in_memory())
    upload = Upload.objects.get()
    connection.close()

    delivery.send(upload)

    assert connection.connection is None


def test_a_class_that_cannot_be_made_leaves_the_upload_to_recovery(settings, in_memory):
    settings.ASYNC_FORMS = {"DELIVERY": f"{__name__}.Unmakable"}

    photo = save(in_memory())

    assert Upload.objects.pending().due().get().object_pk == str(photo.pk)


def test_the_checks_make_no_object_of_a_class_of_the_projects_own(settings):
    settings.ASYNC_FORMS = {"DELIVERY": f"{__name__}.Unmakable"}

    assert not [m for m in run_checks() if m.id.startswith("django_async_forms")]


@pytest.mark.parametrize("value", [None, "", "nothing.Delivery", f"{__name__}.OnlyPublish"])
def test_a_class_that_cannot_send_is_found(settings, value):
    settings.ASYNC_FORMS = {"DELIVERY": value}

    (message,) = [m for m in run_checks() if m.id == "django_async_forms.E001"]

    assert f'ASYNC_FORMS["DELIVERY"] is {value!r}.' in message.msg
    assert "publish and in_background" in message.msg


def test_a_class_of_the_projects_own_needs_no_celery(own):
    with sending_to("memory://", beat_schedule={}):
        found = {message.id for message in run_checks()}

    assert not found & {f"django_async_forms.{name}" for name in ("W013", "W014", "W022")}


# How long a message waits, and how many:


def test_a_message_waits_for_one_that_a_slow_broker_is_taking(client, held, image, settings):
    settings.ASYNC_FORMS |= {"PUBLISH_TIMEOUT": DEADLINE}
    client.post("/plain/", image("first.jpg"))
    wait_until(lambda: held.asked, "the broker is asked")

    client.post("/plain/", image("second.jpg"))

    assert held.asked == ["first.jpg"]
    held.let_go()
    assert seen_by(held) == ["first.jpg", "second.jpg"]


def test_the_wait_outside_a_request_is_twice_the_time_out(held, in_memory, settings, caplog):
    settings.ASYNC_FORMS |= {"PUBLISH_TIMEOUT": 0.01}

    save(in_memory())

    assert "The broker has not answered within 0.02 s." in caplog.text


def test_an_upload_is_left_to_recovery_when_too_many_messages_wait(
    client, held, image, settings, monkeypatch
):
    settings.ASYNC_FORMS |= {"PUBLISH_TIMEOUT": DEADLINE}
    monkeypatch.setattr(background, "_MAX_WAITING", 1)
    client.post("/plain/", image("first.jpg"))
    wait_until(lambda: held.asked, "the broker is asked")

    client.post("/plain/", image("second.jpg"))
    client.post("/plain/", image("third.jpg"))

    assert Upload.objects.pending().due().get().name == "third.jpg"


@pytest.fixture
def broker_is_silent(monkeypatch):
    """A broker that is not asked, because it did not answer a moment ago."""
    monkeypatch.setattr(delivery, "_open_until", float("inf"))


def test_leaving_an_upload_to_recovery_keeps_the_open_connection(broker_is_silent, in_memory):
    connection.ensure_connection()
    before = connection.connection

    save(in_memory())

    assert connection.connection is before


def test_leaving_an_upload_to_recovery_leaves_no_connection_open(broker_is_silent, in_memory):
    save(in_memory())
    upload = Upload.objects.get()
    connection.close()

    delivery.send(upload)

    assert connection.connection is None


# What a message is sent with:


def test_a_message_is_sent_by_the_app_that_is_current_when_the_image_is_saved(in_memory):
    apps = []

    def note(**kwargs):
        apps.append(current_app._get_current_object())

    previous = current_app._get_current_object()
    app = Celery("another", broker="memory://", set_as_current=False)
    app.set_current()
    before_task_publish.connect(note)
    try:
        save(in_memory())
    finally:
        before_task_publish.disconnect(note)
        previous.set_current()

    assert apps == [app]


def test_an_upload_whose_retry_is_rolled_back_is_not_sent(published, in_memory):
    moon = Elsewhere.objects.create(title="Moon")
    upload = save_image(in_memory(), moon)
    Upload.objects.using("other").update(state=Upload.State.FAILED)
    assert seen() == ["dune.jpg"]

    with transaction.atomic(using="other"):
        assert delivery.retry(Upload.objects.using("other").filter(pk=upload.pk)) == 1
        transaction.set_rollback(True, using="other")

    assert seen() == ["dune.jpg"]


@pytest.mark.usefixtures("patient")
def test_a_message_leaves_no_connection_of_its_thread_open(publish_by, in_memory):
    used = []

    def publish(upload):
        """Use the database, as a receiver of Celery's signals may."""
        connection.ensure_connection()
        used.append(connections["default"])

    publish_by(publish)

    save(in_memory())

    assert [each.connection for each in used] == [None]
