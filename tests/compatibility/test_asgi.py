"""Forms in async views, and a server that speaks ASGI."""

import asyncio

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.asgi import get_asgi_application
from django.forms import modelform_factory
from django.http import HttpResponse
from django.test import AsyncClient
from django.urls import path
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from django_async_forms.views import AsyncImageCreateView
from tests import pictures, services
from tests.project.models import Photo
from tests.worker import sending_to_broker

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls(__name__),
    # What is sent on commit goes to a queue without a worker.
    pytest.mark.usefixtures("queue"),
]

PhotoForm = modelform_factory(Photo, AsyncImageModelForm, fields=["title", "image"])


@csrf_exempt
async def function_view(request):
    form = PhotoForm(request.POST, request.FILES)
    # Validation and saving may ask the database, so both go to a thread, as any of Django's do.
    if not await sync_to_async(form.is_valid)():
        return HttpResponse(form.errors.as_json(), status=400)
    photo = await sync_to_async(form.save)()
    return HttpResponse(str(photo.pk))


class ClassView(View):
    async def post(self, request):
        form = PhotoForm(request.POST, request.FILES)
        photo = await sync_to_async(form.save)(commit=False)
        await photo.asave()
        return HttpResponse(str(photo.pk))


async def save_image_view(request):
    photo = await Photo.objects.acreate(title="Dune")
    await sync_to_async(save_image)(request.FILES["image"], photo)
    return HttpResponse(str(photo.pk))


urlpatterns = [
    path("function/", function_view),
    path("class/", ClassView.as_view()),
    path("save-image/", save_image_view),
    path(
        "generic/",
        AsyncImageCreateView.as_view(model=Photo, fields=["title", "image"], success_url="/"),
    ),
]


@pytest.fixture
def queue(asking_anew):
    broker = services.Broker("filesystem", "filesystem://")
    with sending_to_broker(broker):
        yield
    broker.remove()


@pytest.fixture(params=["in memory", "on disk"])
def image(request, settings):
    """An image for a post, which Django keeps in memory, or on disk."""
    if request.param == "on disk":
        settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 0
    file = pictures.as_file(pictures.jpeg())
    file.name = "dune.jpg"
    return file


@pytest.mark.parametrize("page", ["/function/", "/class/", "/save-image/", "/generic/"])
def test_an_image_that_is_posted_to_an_asynchronous_server_is_owed_and_saved(page, image):
    async def post():
        return await AsyncClient().post(page, {"title": "Dune", "image": image})

    # In this thread, so that its connection is the test's.
    response = async_to_sync(post)()
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


async def speak(application, body, size):
    """Post a body as a server does that gets it piece by piece; return the status."""
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
        await asyncio.Event().wait()  # The client stays until it has its answer.

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/function/",
        "query_string": b"",
        "headers": [
            (b"host", b"testserver"),
            (b"content-type", b"multipart/form-data; boundary=limit"),
            (b"content-length", str(len(body)).encode()),
        ],
    }
    await application(scope, receive, answers.put)
    return (await answers.get())["status"]


def test_bodies_that_come_in_pieces_are_taken_side_by_side():
    images = {f"Photo {number}": pictures.jpeg() for number in range(4)}

    async def post_all():
        application = get_asgi_application()
        posts = [speak(application, multipart(title, images[title]), 1000) for title in images]
        return await asyncio.gather(*posts)

    assert asyncio.run(post_all()) == [200] * 4
    save_pending_uploads()

    stored = {photo.title: pictures.stored(photo.image) for photo in Photo.objects.all()}
    assert stored == images
