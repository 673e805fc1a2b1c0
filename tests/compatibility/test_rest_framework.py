"""Django REST framework: saving a serializer behaves as saving a form with the mixin."""

import base64
import gc
from functools import partial
from io import StringIO
from types import SimpleNamespace

import pytest
from asgiref.sync import async_to_sync
from django.core.checks import run_checks
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection
from django.db.transaction import atomic
from django.forms import modelform_factory
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext
from django.urls import include, path

from django_async_forms.drafts import make_grant
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Draft, Upload
from django_async_forms.status import prefetch_uploads
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from tests import drafts, pictures
from tests.project.models import Album, Document, Measured, Page, Photo

from . import libraries

libraries.need("djangorestframework", "drf-spectacular")

from drf_spectacular.generators import SchemaGenerator  # noqa: E402
from drf_spectacular.openapi import AutoSchema  # noqa: E402
from drf_spectacular.settings import patched_settings  # noqa: E402
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


class FailingPhotos(Photos):
    """Fails after it has saved."""

    def perform_create(self, serializer):
        super().perform_create(serializer)
        raise serializers.ValidationError("No more photos.")


def grant(request, purpose="project.photo.image"):
    return HttpResponse(make_grant(request, purpose))


router = routers.DefaultRouter()
router.register("photos", Photos)
router.register("failing", FailingPhotos, "failing")
urlpatterns = [
    path("grant/", grant),
    path("grant/<str:purpose>/", grant),
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


class LocatedPagesSerializer(serializers.ListSerializer):
    """Updates many at once, as REST framework's documentation shows."""

    def update(self, instance, validated_data):
        pages = {page.caption: page for page in instance}
        return [self.child.update(pages[data["caption"]], data) for data in validated_data]


class LocatedPageSerializer(PageSerializer):
    class Meta(PageSerializer.Meta):
        list_serializer_class = LocatedPagesSerializer


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

    def update(self, instance, validated_data):
        by_caption = {page.caption: page for page in instance.pages.all()}
        for data in validated_data.pop("pages"):
            page = self.fields["pages"].child.update(by_caption[data["caption"]], data)
            page.save()  # As code does that has more to change.
        instance.name = validated_data["name"]
        instance.save()
        return instance


class OuterSerializer(serializers.Serializer):
    """Has no images of its own, and calls ``save()`` of another serializer."""

    page = serializers.DictField()

    def create(self, validated_data):
        page = PageSerializer(data=validated_data["page"], context=self.context)
        page.is_valid(raise_exception=True)
        return page.save(album=Album.objects.create(name="Dunes"))


class Base64Field(serializers.ImageField):
    """A project's own field, which reads an image from text."""

    def to_internal_value(self, data):
        if isinstance(data, str):
            data = SimpleUploadedFile("text.jpg", base64.b64decode(data), "image/jpeg")
        return super().to_internal_value(data)


class ReferenceField(serializers.Field):
    """A project's own field, which knows images by number."""

    def to_internal_value(self, data):
        return picture(f"{data}.jpg")

    def to_representation(self, value):
        return value.name


class ReferenceSerializer(AsyncImageSerializerMixin, serializers.ModelSerializer):
    image = ReferenceField()

    class Meta:
        model = Photo
        fields = ["title", "image"]


class Base64Serializer(AsyncImageSerializerMixin, serializers.ModelSerializer):
    image = Base64Field()

    class Meta:
        model = Photo
        fields = ["title", "image"]


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


def test_clearing_an_image_discards_a_pending_one_that_replaces_none():
    measured = Measured.objects.create(title="Dune")
    save_image(picture("new.jpg"), measured, "image")

    saved(MeasuredSerializer(measured, {"image": None}, partial=True))

    assert not Upload.objects.exists()


def test_an_image_that_save_empties_discards_a_pending_one_that_replaces_none():
    measured = Measured.objects.create(title="Dune")
    save_image(picture("new.jpg"), measured, "image")
    serializer = MeasuredSerializer(measured, {"title": "Dune"}, partial=True)
    assert serializer.is_valid()

    serializer.save(image="")

    assert not Upload.objects.exists()


def test_many_at_once_are_staged_each():
    data = [{"title": name, "image": picture(f"{name}.jpg")} for name in ("one", "two")]

    saved(PhotoSerializer(data=data, many=True))

    assert sorted(Upload.objects.values_list("name", flat=True)) == ["one.jpg", "two.jpg"]


def test_many_at_once_are_staged_each_in_asynchronous_code():
    data = [{"title": name, "image": picture(f"{name}.jpg")} for name in ("one", "two")]

    @async_to_sync
    async def save_all(serializer):
        assert await serializer.ais_valid(raise_exception=True)
        await serializer.asave()

    save_all(PhotoSerializer(data=data, many=True))

    assert sorted(Upload.objects.values_list("name", flat=True)) == ["one.jpg", "two.jpg"]


class _Authored(serializers.ModelSerializer):
    """Has more arguments in its ``save()``, as the serializers of some projects do."""

    def save(self, author, **kwargs):
        return super().save(title=f"Dune by {author}", **kwargs)


class AuthoredSerializer(AsyncImageSerializerMixin, _Authored):
    class Meta:
        model = Photo
        fields = ["title", "image"]


def test_a_serializer_whose_save_has_other_arguments_gets_them(in_memory):
    serializer = AuthoredSerializer(data={"title": "Dune", "image": in_memory()})
    serializer.is_valid(raise_exception=True)

    photo = serializer.save("Paul")

    assert photo.title == "Dune by Paul"
    assert Upload.objects.for_instance(photo).pending().count() == 1


def test_nested_serializers_are_staged_each():
    pages = [{"image": picture("page.jpg"), "caption": "One"}]
    data = {"name": "Dunes", "cover": picture("cover.jpg"), "pages": pages}

    saved(AlbumSerializer(data=data))

    assert sorted(Upload.objects.values_list("name", flat=True)) == ["cover.jpg", "page.jpg"]


def test_nested_serializers_update_an_image_each():
    album = Album.objects.create(name="Old")
    page = Page.objects.create(album=album, caption="One", image=picture("old.jpg"))
    pages = [{"image": picture("new.jpg"), "caption": "One"}]

    saved(AlbumSerializer(album, {"name": "New", "pages": pages}))

    page.refresh_from_db()
    assert page.image.name == "pages/old.jpg"
    assert Upload.objects.get().name == "new.jpg"


def test_a_serializer_that_another_one_saves_stages_its_image():
    page = {"image": picture("page.jpg"), "caption": "One"}

    saved(OuterSerializer(data={"page": page}))

    assert Upload.objects.get().name == "page.jpg"


def test_a_list_serializer_of_the_projects_own_updates_each_image():
    album = Album.objects.create(name="Dunes")
    for number in ("1", "2"):
        Page.objects.create(album=album, caption=number, image=picture(f"old-{number}.jpg"))
    data = [{"caption": number, "image": picture(f"new-{number}.jpg")} for number in ("1", "2")]

    saved(LocatedPageSerializer(Page.objects.all(), data=data, many=True))

    assert sorted(Upload.objects.values_list("name", flat=True)) == ["new-1.jpg", "new-2.jpg"]
    assert Page.objects.get(caption="1").image.name == "pages/old-1.jpg"


def test_a_serializer_saves_the_same_instance_twice_in_a_transaction():
    photo = Photo.objects.create(title="Old")
    for name in ("one.jpg", "two.jpg"):
        saved(PhotoSerializer(photo, {"image": picture(name)}, partial=True))

    assert Upload.objects.get().name == "two.jpg"


def test_an_update_with_an_image_costs_what_it_costs_in_a_form():
    photo, other = (Photo.objects.create(title="Old", image=picture()) for _ in range(2))
    form = modelform_factory(Photo, AsyncImageModelForm, fields=["title", "image"])
    with CaptureQueriesContext(connection) as by_form:
        form({"title": "New"}, {"image": picture()}, instance=photo).save()
    serializer = PhotoSerializer(other, {"title": "New", "image": picture()})

    with CaptureQueriesContext(connection) as by_serializer:
        saved(serializer)

    assert len(by_serializer) == len(by_form)


def test_a_field_that_reads_base64_stages_its_image():
    text = base64.b64encode(pictures.jpeg()).decode()

    saved(Base64Serializer(data={"title": "Dune", "image": text}))

    assert Upload.objects.get().name == "text.jpg"


def test_a_field_of_the_projects_own_stages_its_image():
    saved(ReferenceSerializer(data={"title": "Dune", "image": 7}))

    assert Upload.objects.get().name == "7.jpg"


def test_a_plain_file_is_staged_if_the_serializer_names_it():
    saved(DocumentSerializer(data={"file": SimpleUploadedFile("text.txt", b"A text.")}))

    assert Upload.objects.get().name == "text.txt"


def test_an_image_of_a_new_instance_is_saved_at_once_with_replacing():
    class Replacing(PhotoSerializer):
        async_when = "replacing"

    photo = saved(Replacing(data={"title": "Dune", "image": picture()}))

    assert photo.image.name == "photos/dune.jpg"
    assert not Upload.objects.exists()


def test_a_full_backlog_refuses_no_image_that_is_saved_at_once(settings):
    class Replacing(PhotoSerializer):
        async_when = "replacing"

    save_image(picture(), Photo.objects.create(title="Pending"))
    settings.ASYNC_FORMS = {"MAX_BACKLOG": 1}

    assert Replacing(data={"title": "Dune", "image": picture()}).is_valid()
    assert not PhotoSerializer(data={"title": "Dune", "image": picture()}).is_valid()


def test_a_serializer_refuses_a_file_over_the_limit(settings):
    settings.ASYNC_FORMS = {"MAX_BYTES": 10}
    serializer = PhotoSerializer(data={"title": "Dune", "image": picture()})

    assert not serializer.is_valid()
    assert serializer.errors["image"][0].code == "too_many_bytes"


@pytest.mark.django_db(transaction=True)
def test_an_error_after_the_save_in_a_request_with_a_transaction_leaves_nothing(api, settings):
    # REST framework rolls the transaction back, because its view answers with the error.
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
        answer = api.post("/api/failing/", {"title": "Dune", "image": picture()})

    assert answer.status_code == 400
    assert not Photo.objects.exists()
    assert not Upload.objects.exists()


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


class Described(Photos):
    schema = AutoSchema()


class DescribedPlainPhotos(viewsets.ModelViewSet):
    """Photos that the request saves."""

    schema = AutoSchema()
    queryset = Photo.objects.all()

    class serializer_class(serializers.ModelSerializer):  # noqa: N801
        class Meta:
            model = Photo
            fields = ["image"]


@pytest.fixture(params=[False, True], ids=["one component", "split"])
def components(request):
    """The components of the description of the API: with separate ones for requests, or not."""
    described = routers.DefaultRouter()
    described.register("photos", Described)
    described.register("plain", DescribedPlainPhotos, "plain")
    with patched_settings({"COMPONENT_SPLIT_REQUEST": request.param}):
        schema = SchemaGenerator(patterns=described.urls).get_schema(public=True)
    found = schema["components"]["schemas"]
    return SimpleNamespace(
        answer=found["Photo"]["properties"],
        request=found["PhotoRequest" if request.param else "Photo"]["properties"],
        plain=found["serializer_class"]["properties"],
    )


def test_the_description_of_the_api_has_the_state(components):
    state = components.answer["state"]
    assert state["properties"]["state"]["enum"] == ["pending", "failed", "saved"]
    assert state["readOnly"]


def test_the_description_of_the_api_says_that_an_image_takes_a_draft(components):
    assert "the token of a draft" in components.request["image"]["description"]


def test_the_description_of_the_api_says_that_an_image_is_null_while_it_is_pending(components):
    assert components.answer["image"]["nullable"]


def test_the_description_of_an_image_that_the_request_saves_is_left_alone(components):
    assert components.plain["image"].keys() == {"type", "format"}


@pytest.mark.parametrize("many", [False, True], ids=["one", "list"])
def test_the_browsable_pages_show_the_state_and_a_form(api, many):
    photo = Photo.objects.create(title="Dune")
    save_image(picture(), photo)

    address = "/api/photos/" if many else f"/api/photos/{photo.pk}/"
    html = api.get(address, headers={"Accept": "text/html"}).content.decode()

    assert "&quot;state&quot;: &quot;pending&quot;" in html
    assert '<input name="image" type="file"' in " ".join(html.split())


def test_the_browsable_page_shows_the_errors_of_its_form(api):
    html = api.post("/api/photos/", {"title": ""}, headers={"Accept": "text/html"}).content

    assert b"No file was submitted." in html


# Drafts and their sender


@pytest.fixture
def page(client):
    """A visitor with a session, who has a grant for photos."""
    return drafts.Page(client, "/grant/")


@pytest.fixture
def data():
    """The bytes of the visitor's image."""
    return pictures.jpeg()


@pytest.fixture
def token(page, data):
    """The token of a draft of the visitor's."""
    return drafts.token_in(page.send_all(data))


@pytest.fixture
def post_json(api, page):
    """Posts JSON in the session of the visitor."""
    api.cookies = page.client.cookies

    def post(address, **data):
        return api.post(address, data, format="json")

    return post


def test_json_with_the_token_of_a_draft_stages_its_image(post_json, token, data):
    answer = post_json("/api/photos/", title="Dune", image=token)

    assert answer.status_code == 201, answer.data
    assert answer.data["state"]["name"] == "dune.jpg"
    assert not Draft.objects.exists()
    save_pending_uploads()
    assert pictures.stored(Photo.objects.get().image) == data


def test_a_draft_in_json_is_not_read_again(post_json, token, monkeypatch):
    def refuse(self):
        raise AssertionError("The staged bytes are read.")

    monkeypatch.setattr(Draft, "open_staged", refuse)

    assert post_json("/api/photos/", title="Dune", image=token).status_code == 201


def test_a_draft_can_be_claimed_once(post_json, token):
    post_json("/api/photos/", title="Dune", image=token)

    answer = post_json("/api/photos/", title="Reef", image=token)

    assert answer.status_code == 400
    assert "no longer there" in answer.data["image"][0]


def test_a_draft_that_is_claimed_between_validation_and_save_is_an_error(rf, page, token):
    request = rf.post("/")
    request.session = page.client.session
    data, context = {"title": "Dune", "image": token}, {"request": request}
    first, second = (PhotoSerializer(data=data, context=context) for _ in range(2))
    assert second.is_valid()
    saved(first)

    with pytest.raises(serializers.ValidationError, match="no longer there"), atomic():
        second.save()

    assert Photo.objects.count() == 1


def test_a_draft_that_is_used_up_before_its_field_reads_it_is_an_error(rf, page, token):
    request = rf.post("/")
    request.session = page.client.session
    data, context = {"title": "Dune", "image": token}, {"request": request}

    class ReadingField(serializers.ImageField):
        def to_internal_value(self, file):
            saved(PhotoSerializer(data=data, context=context))
            save_pending_uploads()
            file.read()
            return file

    class ReadingSerializer(PhotoSerializer):
        image = ReadingField()

    second = ReadingSerializer(data=data, context=context)

    assert not second.is_valid()
    assert second.errors["image"][0].code == "draft_gone"


def test_a_draft_for_another_field_is_refused(post_json, page):
    page.grant = page.client.get("/grant/other/").content.decode()
    token = drafts.token_in(page.send_all(pictures.jpeg()))

    answer = post_json("/api/photos/", title="Dune", image=token)

    assert answer.status_code == 400
    assert "no longer there" in answer.data["image"][0]


def test_the_token_of_somebody_elses_draft_is_an_error_of_the_field(api, token):
    answer = api.post("/api/photos/", {"title": "Dune", "image": token}, format="json")

    assert answer.status_code == 400
    assert "no longer there" in answer.data["image"][0]


def test_a_text_that_is_not_a_token_is_refused_as_usual(post_json):
    answer = post_json("/api/photos/", title="Dune", image="dune.jpg")

    assert answer.data["image"][0].code == "invalid"


def test_a_text_without_a_request_is_refused_as_usual(token):
    serializer = PhotoSerializer(data={"title": "Dune", "image": token})

    assert not serializer.is_valid()
    assert serializer.errors["image"][0].code == "invalid"


def test_the_sender_is_shown_the_image_while_it_is_pending(post_json, page, token):
    post_json("/api/photos/", title="Dune", image=token)

    state = PhotoSerializer(Photo.objects.get()).data["state"]
    assert page.look(f"/async/staged/{state['token']}/").status_code == 200


def test_nobody_is_shown_an_image_that_the_serializer_hides(rf, page, token):
    class Hidden(PhotoSerializer):
        hide_staged = ["image"]

    request = rf.post("/")
    request.session = page.client.session
    saved(Hidden(data={"title": "Dune", "image": token}, context={"request": request}))

    assert Upload.objects.get().sender == ""


def test_a_client_without_a_page_polls_the_status(post_json, token):
    state = post_json("/api/photos/", title="Dune", image=token).data["state"]
    status = partial(APIClient().post, "/async/status/", {"tokens": [state["token"]]}, "json")

    before = status().json()["images"][state["token"]]
    save_pending_uploads()
    after = status().json()["images"][state["token"]]

    assert before["state"] == "pending"
    assert after == {"state": "saved", "url": Photo.objects.get().image.url}


# What a developer sees


def messages(serializer_class):
    """Return the ids of the system checks about a serializer."""
    found = run_checks(databases=["default"])
    return [
        message.id.removeprefix("django_async_forms.")
        for message in found
        if message.obj is serializer_class
    ]


def listed(serializer_class):
    """Return the lines of ``manage.py async_uploads forms`` about a serializer."""
    out = StringIO()
    call_command("async_uploads", "forms", skip_checks=True, stdout=out)
    name = f"{serializer_class.__module__}.{serializer_class.__qualname__}"
    return [
        line.replace(name, "NAME").strip() for line in out.getvalue().splitlines() if name in line
    ]


@pytest.fixture
def made():
    """Makes a serializer for photos, which the checks no longer know after the test."""

    def make(*bases, **attributes):
        meta = type("Meta", (), {"model": Photo, "fields": ["title", "image"]})
        return type("OwnSerializer", bases, {"Meta": meta, "__module__": __name__, **attributes})

    yield make
    gc.collect()


def test_the_checks_have_nothing_to_say_about_a_good_serializer(made):
    good = made(AsyncImageSerializerMixin, serializers.ModelSerializer, async_fields=["image"])

    assert messages(good) == []
    assert listed(good) == ["worker   NAME"]


def test_a_mixin_after_modelserializer_is_found(made):
    wrong = made(serializers.ModelSerializer, AsyncImageSerializerMixin)

    assert messages(wrong) == ["E007"]
    assert listed(wrong) == ["request  NAME: AsyncImageSerializerMixin comes after ModelSerializer"]


@pytest.mark.parametrize(
    ("attributes", "number"),
    [
        ({"async_fields": ["picture"]}, "E008"),
        ({"async_fields": ["image"], "image": serializers.ImageField(read_only=True)}, "E009"),
        ({"async_when": "sometimes"}, "E021"),
    ],
    ids=["no field", "a field that is only read", "an unknown word"],
)
def test_a_serializer_with_a_wrong_attribute_is_found(made, attributes, number):
    wrong = made(AsyncImageSerializerMixin, serializers.ModelSerializer, **attributes)

    assert messages(wrong) == [number]


def test_a_serializer_without_the_mixin_is_listed(made):
    plain = made(serializers.ModelSerializer)

    assert listed(plain) == ["request  NAME: it has no AsyncImageSerializerMixin"]


def test_a_serializer_that_needs_a_request_is_not_listed(made):
    class Needing(serializers.ModelSerializer):
        def get_fields(self):
            return {"image": self.context["request"].field}

    assert listed(made(Needing)) == []
