"""Django REST framework: saving a serializer behaves as saving a form with the mixin."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import include, path

from django_async_forms import arrival
from django_async_forms.draft_sender import sender_of
from django_async_forms.drafts import make_grant
from django_async_forms.grants import Grant, draft_token
from django_async_forms.models import Upload
from django_async_forms.status import prefetch_uploads
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from tests import pictures
from tests.project.models import Album, Document, Measured, Page, Photo

from . import libraries

libraries.need("djangorestframework", "drf-spectacular")

from drf_spectacular.generators import SchemaGenerator  # noqa: E402
from drf_spectacular.openapi import AutoSchema  # noqa: E402
from rest_framework import routers, serializers, viewsets  # noqa: E402
from rest_framework.test import APIClient  # noqa: E402

from django_async_forms.rest_framework import (  # noqa: E402
    AsyncImageSerializerMixin,
    ImageStateField,
)

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class PhotoSerializer(AsyncImageSerializerMixin, serializers.ModelSerializer):
    state = ImageStateField(source="image")

    class Meta:
        model = Photo
        fields = ["id", "title", "image", "state"]


class Photos(viewsets.ModelViewSet):
    queryset = Photo.objects.all()
    serializer_class = PhotoSerializer


router = routers.DefaultRouter()
router.register("photos", Photos)
urlpatterns = [
    path("api/", include(router.urls)),
    path("async/", include("django_async_forms.urls")),
]


class MeasuredSerializer(AsyncImageSerializerMixin, serializers.ModelSerializer):
    image = serializers.ImageField(allow_null=True)

    class Meta:
        model = Measured
        fields = ["title", "image", "cover"]


class DocumentSerializer(AsyncImageSerializerMixin, serializers.ModelSerializer):
    async_fields = ["file"]

    class Meta:
        model = Document
        fields = ["file"]


class PageSerializer(AsyncImageSerializerMixin, serializers.ModelSerializer):
    class Meta:
        model = Page
        fields = ["image", "caption"]


class AlbumSerializer(AsyncImageSerializerMixin, serializers.ModelSerializer):
    """Writes what is nested in it, as REST framework's documentation shows."""

    pages = PageSerializer(many=True)

    class Meta:
        model = Album
        fields = ["name", "cover", "pages"]

    def create(self, validated_data):
        pages = validated_data.pop("pages")
        album = Album.objects.create(**validated_data)
        for page in pages:
            Page.objects.create(album=album, **page)
        return album


@pytest.fixture
def api():
    """A client that sends multipart or JSON."""
    return APIClient()


def picture(name="dune.jpg", data=None):
    return SimpleUploadedFile(name, data or pictures.jpeg(), "image/jpeg")


def saved(serializer):
    assert serializer.is_valid(), serializer.errors
    return serializer.save()


def test_a_post_saves_the_instance_and_stages_its_image(api):
    data = pictures.jpeg()

    answer = api.post("/api/photos/", {"title": "Dune", "image": picture(data=data)})

    assert answer.status_code == 201
    assert answer.data["image"] is None
    photo = Photo.objects.get()
    assert not photo.image
    save_pending_uploads()
    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data


def test_the_answer_tells_the_state_of_the_image(api):
    state = api.post("/api/photos/", {"title": "Dune", "image": picture()}).data["state"]

    token = state.pop("token")
    assert state == {
        "state": "pending",
        "url": None,
        "name": "dune.jpg",
        "width": 64,
        "height": 48,
    }
    images = api.post("/async/status/", {"tokens": [token]}, format="json").json()["images"]
    assert images[token]["state"] == "pending"


def test_the_state_of_a_saved_image_has_its_address(api):
    api.post("/api/photos/", {"title": "Dune", "image": picture()})
    save_pending_uploads()

    [photo] = api.get("/api/photos/").data

    assert photo["state"]["state"] == "saved"
    assert photo["state"]["url"] == photo["image"]
    assert photo["state"]["url"].startswith("http://testserver/")


@pytest.mark.parametrize("method", ["put", "patch"])
def test_an_update_keeps_the_old_image_until_the_new_one_is_attached(api, method):
    photo = Photo.objects.create(title="Old", image=picture("old.jpg"))
    change = getattr(api, method)

    change(f"/api/photos/{photo.pk}/", {"title": "New", "image": picture("new.jpg")})

    photo.refresh_from_db()
    assert (photo.title, photo.image.name) == ("New", "photos/old.jpg")
    save_pending_uploads()
    photo.refresh_from_db()
    assert photo.image.name == "photos/new.jpg"


def test_a_partial_update_without_the_image_leaves_a_pending_one(api):
    photo = Photo.objects.create(title="Old")
    upload = save_image(picture(), photo)

    api.patch(f"/api/photos/{photo.pk}/", {"title": "New"})

    assert Upload.objects.get() == upload


def test_clearing_an_image_discards_the_pending_one():
    measured = Measured.objects.create(title="Dune", image=picture("old.jpg"))
    save_image(picture("new.jpg"), measured, "image")

    saved(MeasuredSerializer(measured, {"image": None}, partial=True))

    measured.refresh_from_db()
    assert not measured.image
    assert not Upload.objects.exists()


def test_many_at_once_are_staged_each():
    data = [{"title": name, "image": picture(f"{name}.jpg")} for name in ("one", "two")]

    saved(PhotoSerializer(data=data, many=True))

    assert sorted(Upload.objects.values_list("name", flat=True)) == ["one.jpg", "two.jpg"]


def test_nested_serializers_are_staged_each():
    pages = [{"image": picture("page.jpg"), "caption": "One"}]
    data = {"name": "Dunes", "cover": picture("cover.jpg"), "pages": pages}

    saved(AlbumSerializer(data=data))

    assert sorted(Upload.objects.values_list("name", flat=True)) == ["cover.jpg", "page.jpg"]


def test_a_plain_file_is_staged_if_the_serializer_names_it():
    saved(DocumentSerializer(data={"file": SimpleUploadedFile("text.txt", b"A text.")}))

    assert Upload.objects.get().name == "text.txt"


def test_an_image_of_a_new_instance_is_saved_at_once_with_replacing():
    class Replacing(PhotoSerializer):
        async_when = "replacing"

    photo = saved(Replacing(data={"title": "Dune", "image": picture()}))

    assert photo.image.name == "photos/dune.jpg"
    assert not Upload.objects.exists()


def test_a_serializer_refuses_a_file_over_the_limit(settings):
    settings.ASYNC_FORMS = {"MAX_BYTES": 10}
    serializer = PhotoSerializer(data={"title": "Dune", "image": picture()})

    assert not serializer.is_valid()
    assert serializer.errors["image"][0].code == "too_many_bytes"


def test_code_that_is_not_the_serializers_saves_images_at_once_after_it():
    photo = saved(PhotoSerializer(data={"title": "Dune", "image": picture()}))
    photo.image = picture("second.jpg")
    photo.save()

    assert photo.image.name == "photos/second.jpg"


def test_the_states_of_a_list_take_no_query_each():
    for number in range(3):
        save_image(picture(), Photo.objects.create(title=f"{number}"))
    photos = prefetch_uploads(Photo.objects.all(), "image")

    with CaptureQueriesContext(connection) as captured:
        states = [photo["state"]["state"] for photo in PhotoSerializer(photos, many=True).data]

    assert states == ["pending"] * 3
    assert len(captured) == 0


def test_the_description_of_the_api_has_the_state():
    class Described(Photos):
        schema = AutoSchema()

    described = routers.DefaultRouter()
    described.register("photos", Described)
    schema = SchemaGenerator(patterns=described.urls).get_schema(public=True)

    state = schema["components"]["schemas"]["Photo"]["properties"]["state"]
    assert state["properties"]["state"]["enum"] == ["pending", "failed", "saved"]
    assert state["readOnly"]


# The token of a draft


@pytest.fixture
def request_of(rf):
    """The request of a visitor, who has a session."""
    request = rf.post("/")
    request.session = {}
    return request


@pytest.fixture
def token(request_of):
    """The token of a draft of the visitor's."""
    data = pictures.jpeg()
    grant = Grant.loads(make_grant(request_of, "project.photo.image"))
    draft = arrival.create(
        grant, sender_of(request_of), name="dune.jpg", content_type="image/jpeg", size=len(data)
    )
    arrival.append(draft, 0, data)
    return draft_token(draft.pk, "default")


def test_the_token_of_a_draft_stands_for_its_image(request_of, token):
    data = {"title": "Dune", "image": token}

    saved(PhotoSerializer(data=data, context={"request": request_of}))

    assert Upload.objects.get().name == "dune.jpg"


def test_the_token_of_somebody_elses_draft_is_an_error_of_the_field(rf, token):
    other = rf.post("/")
    other.session = {}
    serializer = PhotoSerializer(data={"title": "Dune", "image": token}, context={"request": other})

    assert not serializer.is_valid()
    assert "no longer there" in serializer.errors["image"][0]


def test_a_text_without_a_request_is_refused_as_usual(token):
    serializer = PhotoSerializer(data={"title": "Dune", "image": token})

    assert not serializer.is_valid()
    assert serializer.errors["image"][0].code == "invalid"
