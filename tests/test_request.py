"""The request never touches the final storage."""

import pytest
from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.forms import modelformset_factory
from django.http import HttpResponse
from django.urls import include, path
from django.views.generic import UpdateView

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from django_async_forms.views import AsyncImageCreateView, AsyncImageUpdateView
from tests import pictures, services
from tests.project.models import Album, Measured, Page, Photo, Shrunk
from tests.worker import sending_to_broker

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_request")]


class RecordingStorage(FileSystemStorage):
    """A storage that notes each call for which a remote storage would need the network."""

    calls = []

    def _note(self, what, name):
        self.calls.append(f"{what} {name}")

    def _open(self, name, mode="rb"):
        self._note("open", name)
        return super()._open(name, mode)

    def _save(self, name, content):
        self._note("save", name)
        return super()._save(name, content)

    def delete(self, name):
        self._note("delete", name)
        super().delete(name)

    def exists(self, name):
        self._note("exists", name)
        return super().exists(name)

    def size(self, name):
        self._note("size", name)
        return super().size(name)

    def listdir(self, path):
        self._note("listdir", path)
        return super().listdir(path)

    def get_modified_time(self, name):
        self._note("modified", name)
        return super().get_modified_time(name)

    def get_created_time(self, name):
        self._note("created", name)
        return super().get_created_time(name)

    def get_accessed_time(self, name):
        self._note("accessed", name)
        return super().get_accessed_time(name)


@pytest.fixture
def storage_calls(use_final_storage):
    """The calls to the final storage. Clear the list before the request."""
    use_final_storage(RecordingStorage)
    RecordingStorage.calls.clear()
    return RecordingStorage.calls


@pytest.fixture(params=["in memory", "on disk"])
def post(
    request,
    client,
    settings,
    staging,
    storage_calls,
    patient,
    django_capture_on_commit_callbacks,
):
    """Posts a form until its transaction ends, with uploads in memory and on the disk."""
    if request.param == "on disk":
        settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 0
    broker = services.Broker("filesystem", "filesystem://")

    def post(page, data):
        storage_calls.clear()
        with django_capture_on_commit_callbacks(execute=True):
            return client.post(page, data)

    with sending_to_broker(broker):
        yield post
    broker.remove()


def picture(name="new.jpg", width=64, height=48):
    return ContentFile(pictures.jpeg(width, height), name=name)


# Pages of a project


class MeasuredCreateView(AsyncImageCreateView):
    model = Measured
    fields = ["title", "image", "cover"]
    success_url = "/done/"


class MeasuredUpdateView(AsyncImageUpdateView):
    model = Measured
    fields = ["title", "image", "cover"]
    success_url = "/done/"


class PlainUpdateView(UpdateView):
    model = Measured
    fields = ["title", "image", "cover"]
    success_url = "/done/"


class LookingView(MeasuredUpdateView):
    """Reads the saved instance, as for a message to the user."""

    def form_valid(self, form):
        measured = form.save()
        return HttpResponse(f"{measured.image.name} {measured.width} {measured.cover.name}")


class TwoStepsView(MeasuredUpdateView):
    """Sets a column before it saves the instance, as Django's documentation shows."""

    def form_valid(self, form):
        measured = form.save(commit=False)
        measured.title = measured.title.upper()
        measured.save()
        return HttpResponse("saved")


class ShrunkUpdateView(AsyncImageUpdateView):
    model = Shrunk
    fields = ["image"]
    success_url = "/done/"


def formset_view(request):
    formset_class = modelformset_factory(
        Measured, form=AsyncImageModelForm, fields=["title", "image"]
    )
    formset = formset_class(request.POST, request.FILES)
    assert formset.is_valid()
    formset.save()
    return HttpResponse("saved")


def save_image_view(request, pk):
    save_image(request.FILES["image"], Measured.objects.get(pk=pk), "image")
    return HttpResponse("saved")


urlpatterns = [
    path("", include("tests.project.urls")),
    path("measured/add/", MeasuredCreateView.as_view()),
    path("measured/<int:pk>/", MeasuredUpdateView.as_view()),
    path("measured/<int:pk>/plain/", PlainUpdateView.as_view()),
    path("measured/<int:pk>/look/", LookingView.as_view()),
    path("measured/<int:pk>/two-steps/", TwoStepsView.as_view()),
    path("measured/<int:pk>/save-image/", save_image_view),
    path("measured/formset/", formset_view),
    path("shrunk/<int:pk>/", ShrunkUpdateView.as_view()),
]


@pytest.fixture
def measured(storage_calls):
    """An instance with two images and their dimensions."""
    return Measured.objects.create(
        title="Old", image=picture("image.jpg", 30, 20), cover=picture("cover.jpg", 20, 30)
    )


def test_plain_django_waits_for_the_storage(post, measured, storage_calls):
    post(f"/measured/{measured.pk}/plain/", {"title": "New", "image": picture()})

    assert any(call.startswith("save ") for call in storage_calls)


# The views


@pytest.fixture
def logged_in(client):
    client.force_login(get_user_model().objects.create_superuser("admin"))


@pytest.mark.parametrize(
    ("page", "images"),
    [
        ("/photos/add/", ["image"]),
        ("/measured/add/", ["image", "cover"]),
        ("/admin/project/photo/add/", ["image"]),
    ],
)
def test_creating_does_not_touch_the_storage(page, images, post, logged_in, storage_calls):
    data = {"title": "Dune", **{name: picture(f"{name}.jpg") for name in images}}

    assert post(page, data).status_code == 302

    assert storage_calls == []
    assert Upload.objects.count() == len(images)


@pytest.mark.parametrize(
    ("page", "images"),
    [
        ("", []),
        ("", ["cover"]),
        ("", ["image", "cover"]),
        ("two-steps/", ["image", "cover"]),
        ("save-image/", ["image"]),
    ],
    ids=["no image", "one of two", "both", "two steps", "save_image()"],
)
def test_an_update_does_not_touch_the_storage(page, images, post, measured, storage_calls):
    data = {"title": "New", **{name: picture(f"{name}.jpg") for name in images}}

    assert post(f"/measured/{measured.pk}/{page}", data).status_code in (200, 302)

    assert storage_calls == []
    assert Upload.objects.count() == len(images)
    measured.refresh_from_db()
    assert measured.title == {"two-steps/": "NEW", "save-image/": "Old"}.get(page, "New")


def test_clearing_does_not_touch_the_storage(post, measured, storage_calls):
    data = {"title": "New", "image-clear": "on", "cover-clear": "on"}
    assert post(f"/measured/{measured.pk}/", data).status_code == 302
    assert storage_calls == []
    assert Measured.objects.get().image.name == ""


def test_superseding_a_pending_upload_does_not_touch_the_storage(post, measured, storage_calls):
    post(f"/measured/{measured.pk}/", {"title": "First", "image": picture()})
    post(f"/measured/{measured.pk}/", {"title": "Last", "image": picture()})

    assert storage_calls == []
    assert Upload.objects.count() == 1


def test_a_form_with_errors_does_not_touch_the_storage(post, measured, storage_calls):
    response = post(f"/measured/{measured.pk}/", {"title": "", "image": picture()})

    assert response.context["form"].errors
    assert storage_calls == []


def test_looking_at_the_saved_instance_does_not_touch_the_storage(post, measured, storage_calls):
    data = {"title": "New", "image": picture(width=80, height=10)}
    response = post(f"/measured/{measured.pk}/look/", data)

    assert response.content.decode() == f"{measured.image.name} 30 {measured.cover.name}"
    assert storage_calls == []


def test_a_formset_does_not_touch_the_storage(post, measured, storage_calls):
    data = {
        "form-TOTAL_FORMS": "2",
        "form-INITIAL_FORMS": "1",
        "form-0-id": measured.pk,
        "form-0-title": "Changed",
        "form-0-image": picture(),
        "form-1-title": "Added",
        "form-1-image": picture(),
    }
    post("/measured/formset/", data)

    assert storage_calls == []
    assert Upload.objects.count() == 2


# The admin


@pytest.mark.parametrize("files", [["image"], []], ids=["new image", "no image"])
def test_the_admins_change_page_does_not_touch_the_storage(files, post, logged_in, storage_calls):
    photo = Photo.objects.create(title="Old", image=picture("old.jpg"))

    data = {"title": "New", **{name: picture() for name in files}}
    assert post(f"/admin/project/photo/{photo.pk}/change/", data).status_code == 302
    assert storage_calls == []
    assert Upload.objects.count() == len(files)


def test_the_admins_inlines_do_not_touch_the_storage(post, logged_in, storage_calls):
    album = Album.objects.create(name="Arrakis", cover=picture("cover.jpg"))
    page = Page.objects.create(album=album, image=picture("page.jpg"))

    data = {
        "name": "Dune",
        "cover-clear": "on",
        "pages-TOTAL_FORMS": "2",
        "pages-INITIAL_FORMS": "1",
        "pages-0-id": page.pk,
        "pages-0-album": album.pk,
        "pages-0-image": picture(),
        "pages-1-album": album.pk,
        "pages-1-image": picture(),
    }
    assert post(f"/admin/project/album/{album.pk}/change/", data).status_code == 302
    assert storage_calls == []
    assert Upload.objects.count() == 2


# The worker


def test_the_storage_has_the_image_once_the_pending_uploads_are_saved(
    post, measured, storage_calls
):
    post(f"/measured/{measured.pk}/", {"title": "New", "image": picture(width=80, height=10)})

    save_pending_uploads()

    measured.refresh_from_db()
    assert (measured.width, measured.height) == (80, 10)
    assert [call for call in storage_calls if call.startswith("save ")] == [
        f"save {measured.image.name}"
    ]
