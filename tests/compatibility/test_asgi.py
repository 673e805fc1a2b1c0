"""Forms in async views, and behind an ASGI server."""

import asyncio
import gc
import threading

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.asgi import get_asgi_application
from django.db import connections
from django.db.models.signals import post_save
from django.forms import modelform_factory
from django.http import HttpResponse, StreamingHttpResponse
from django.test import AsyncClient
from django.urls import path
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from django_async_forms import delivery
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import asave_image, async_images
from django_async_forms.views import AsyncImageCreateView
from tests import pictures
from tests.project.models import Photo
from tests.worker import DEADLINE, wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls(__name__),
    # Messages go to a queue without a worker.
    pytest.mark.usefixtures("queue"),
]

PhotoForm = modelform_factory(Photo, AsyncImageModelForm, fields=["title", "image"])


@csrf_exempt
async def function_view(request):
    form = PhotoForm(request.POST, request.FILES)
    if not await form.ais_valid():
        return HttpResponse(form.errors.as_json(), status=400)
    photo = await form.asave()
    return HttpResponse(str(photo.pk))


class ClassView(View):
    async def post(self, request):
        form = PhotoForm(request.POST, request.FILES)
        photo = await form.asave(commit=False)
        await photo.asave()
        return HttpResponse(str(photo.pk))


async def save_image_view(request):
    photo = await Photo.objects.acreate(title="Dune")
    await asave_image(request.FILES["image"], photo)
    return HttpResponse(str(photo.pk))


async def block_view(request):
    with async_images(Photo):
        photo = await Photo.objects.acreate(title="Dune", image=request.FILES["image"])
    return HttpResponse(str(photo.pk))


class Crossing:
    """Two requests at the same time: each saves, and then waits until the test lets it continue."""

    def __init__(self):
        self.published = []
        self.saved = {"first": threading.Event(), "second": threading.Event()}
        self.go_on = {"first": threading.Event(), "second": threading.Event()}

    def publish(self, upload):
        self.published.append(upload.name.removesuffix(".jpg"))

    def seen(self):
        """Return the published messages, after the time that the thread needs."""
        delivery.finish()
        return list(self.published)

    def save(self, request):
        request.FILES["image"].name = f"{request.POST['title']}.jpg"
        form = PhotoForm(request.POST, request.FILES)
        assert form.is_valid(), form.errors
        form.save()

    def wait(self, name):
        self.saved[name].set()
        assert self.go_on[name].wait(DEADLINE)


crossing = Crossing()


@csrf_exempt
def crossing_view(request):
    crossing.save(request)
    crossing.wait(request.POST["title"])
    return HttpResponse()


@csrf_exempt
async def crossing_async_view(request):
    await sync_to_async(crossing.save)(request)
    await asyncio.to_thread(crossing.wait, request.POST["title"])
    return HttpResponse()


@csrf_exempt
async def crossing_streaming_view(request):
    name = request.POST["title"]

    async def parts():
        yield "a"
        await sync_to_async(crossing.save)(request)
        await asyncio.to_thread(crossing.wait, name)
        yield "b"

    return StreamingHttpResponse(parts())


@csrf_exempt
async def failing_view(request):
    await sync_to_async(crossing.save)(request)
    # Without an end of the request, Django closes none.
    await sync_to_async(connections.close_all)()
    raise ZeroDivisionError


urlpatterns = [
    path("crossing/", crossing_view),
    path("crossing-async/", crossing_async_view),
    path("crossing-streaming/", crossing_streaming_view),
    path("failing/", failing_view),
    path("function/", function_view),
    path("class/", ClassView.as_view()),
    path("save-image/", save_image_view),
    path("block/", block_view),
    path(
        "generic/",
        AsyncImageCreateView.as_view(model=Photo, fields=["title", "image"], success_url="/"),
    ),
]


@pytest.fixture(params=["in memory", "on disk"])
def image(request, settings):
    """An image to post, which Django keeps in memory, or on the disk."""
    if request.param == "on disk":
        settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 0
    file = pictures.as_file(pictures.jpeg())
    file.name = "dune.jpg"
    return file


def post(page, title, image):
    """Post to a page; this thread has the test's connection."""
    return async_to_sync(AsyncClient().post)(page, {"title": title, "image": image})


@pytest.mark.parametrize("page", ["/function/", "/class/", "/save-image/", "/block/", "/generic/"])
def test_an_image_posted_to_an_asynchronous_server_is_pending_and_then_saved(page, image):
    response = post(page, "Dune", image)
    assert response.status_code < 400, response.content

    assert Upload.objects.get().name == "dune.jpg"
    save_pending_uploads()
    assert pictures.stored(Photo.objects.get().image) == image.getvalue()


def multipart(title, data):
    return b"\r\n".join(
        [
            b"--limit",
            b'Content-Disposition: form-data; name="title"',
            b"",
            title.encode(),
            b"--limit",
            b'Content-Disposition: form-data; name="image"; filename="dune.jpg"',
            b"Content-Type: image/jpeg",
            b"",
            data,
            b"--limit--",
            b"",
        ]
    )


async def speak(application, body, size, page="/function/", leave=None):
    """
    Post a body piece by piece, as a server receives it; return the status, or None.

    The client leaves after it has awaited ``leave``; it defaults to staying for the response.
    """
    messages = [
        {
            "type": "http.request",
            "body": body[start : start + size],
            "more_body": start + size < len(body),
        }
        for start in range(0, len(body), size)
    ]
    answers = asyncio.Queue()
    incoming = iter(messages)

    async def receive():
        for message in incoming:
            return message
        await (leave or asyncio.Event().wait())
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": page,
        "query_string": b"",
        "headers": [
            (b"host", b"testserver"),
            (b"content-type", b"multipart/form-data; boundary=limit"),
            (b"content-length", str(len(body)).encode()),
        ],
    }
    await application(scope, receive, answers.put)
    return None if answers.empty() else answers.get_nowait()["status"]


def test_request_bodies_in_pieces_are_received_side_by_side():
    images = {f"Photo {number}": pictures.jpeg() for number in range(4)}

    async def post_all():
        application = get_asgi_application()
        posts = [speak(application, multipart(title, images[title]), 1000) for title in images]
        return await asyncio.gather(*posts)

    assert asyncio.run(post_all()) == [200] * 4
    save_pending_uploads()

    stored = {photo.title: pictures.stored(photo.image) for photo in Photo.objects.all()}
    assert stored == images


@pytest.fixture
def crossed(monkeypatch, asking_anew, publish_by):
    """Two requests of this test, and the messages that are published for them."""
    crossed = Crossing()
    monkeypatch.setitem(globals(), "crossing", crossed)
    monkeypatch.setattr(delivery, "_threads", {})
    publish_by(crossed.publish)
    return crossed


@pytest.mark.parametrize("page", ["/crossing/", "/crossing-async/", "/crossing-streaming/"])
def test_each_message_leaves_after_the_response_to_its_own_request(crossed, page):
    async def post_both():
        application = get_asgi_application()

        def post(name):
            body = multipart(name, pictures.jpeg())
            return asyncio.create_task(speak(application, body, 1000, page))

        async def wait(event):
            assert await asyncio.to_thread(event.wait, DEADLINE)

        first, second = post("first"), post("second")
        await wait(crossed.saved["first"])
        await wait(crossed.saved["second"])
        assert crossed.seen() == []

        crossed.go_on["second"].set()
        await second
        assert crossed.seen() == ["second"]

        crossed.go_on["first"].set()
        await first
        assert crossed.seen() == ["second", "first"]

    asyncio.run(post_both())


def test_the_message_leaves_although_an_async_view_fails_after_the_commit(crossed):
    body = multipart("first", pictures.jpeg())

    status = asyncio.run(speak(get_asgi_application(), body, 1000, "/failing/"))

    assert status == 500
    assert crossed.seen() == ["first"]


@pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")  # Django's, with the body.
def test_a_request_without_an_end_keeps_no_upload_in_memory(crossed, settings):
    settings.DEBUG_PROPAGATE_EXCEPTIONS = True
    body = multipart("first", pictures.jpeg())

    with pytest.raises(ZeroDivisionError):
        asyncio.run(speak(get_asgi_application(), body, 1000, "/failing/"))

    gc.collect()
    key = Upload.objects.values_list("pk", flat=True).get()
    uploads = [thing for thing in gc.get_objects() if type(thing) is Upload]
    assert key not in [upload.pk for upload in uploads]
    assert crossed.seen() == []


@pytest.mark.parametrize("page", ["/crossing-async/", "/crossing-streaming/"])
def test_the_message_leaves_although_the_client_has_left(crossed, page):
    async def post_and_leave():
        left = asyncio.to_thread(crossed.saved["first"].wait, DEADLINE)
        body = multipart("first", pictures.jpeg())
        request = asyncio.create_task(speak(get_asgi_application(), body, 1000, page, left))
        await asyncio.to_thread(crossed.saved["first"].wait, DEADLINE)
        crossed.go_on["first"].set()  # Let the waiting thread end.
        await request

    asyncio.run(post_and_leave())

    wait_until(lambda: crossed.seen() == ["first"], "the message is published")


def test_a_form_is_saved_although_the_client_leaves_in_the_middle_of_it(crossed):
    def wait(instance, **kwargs):
        crossed.wait("first")

    async def post_and_leave():
        leaving = asyncio.Event()
        body = multipart("first", pictures.jpeg())
        leave = leaving.wait()
        request = asyncio.create_task(speak(get_asgi_application(), body, 1000, leave=leave))
        assert await asyncio.to_thread(crossed.saved["first"].wait, DEADLINE)
        leaving.set()
        for _ in range(20):  # Rounds of the loop, in which Django hears of it.
            await asyncio.sleep(0)
        crossed.go_on["first"].set()
        assert await request is None

    post_save.connect(wait, Photo)
    try:
        asyncio.run(post_and_leave())
        wait_until(lambda: crossed.published, "the message is published")
    finally:
        post_save.disconnect(wait, Photo)

    assert Upload.objects.get().object_pk == str(Photo.objects.get().pk)


def test_the_message_has_left_when_the_asynchronous_test_client_has_its_response(crossed, image):
    crossed.go_on["first"].set()

    assert post("/crossing-async/", "first", image).status_code == 200
    assert crossed.seen() == ["first"]
