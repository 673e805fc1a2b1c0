"""adrf, an asynchronous REST framework: its ``asave()`` leaves the images to a worker, too."""

import pytest
from asgiref.sync import async_to_sync
from django.core.files.uploadedfile import SimpleUploadedFile

from django_async_forms.models import Upload
from django_async_forms.uploads import save_image
from tests import pictures
from tests.project.models import Measured, Photo

from . import libraries

libraries.need("djangorestframework", "adrf")

from adrf.serializers import ModelSerializer  # noqa: E402

from django_async_forms.rest_framework import AsyncImageSerializerMixin  # noqa: E402

pytestmark = pytest.mark.django_db


class PhotoSerializer(AsyncImageSerializerMixin, ModelSerializer):
    class Meta:
        model = Photo
        fields = ["title", "image"]

    async def acreate(self, validated_data):
        return await super().acreate({**validated_data, "title": "By acreate()"})


class MeasuredSerializer(AsyncImageSerializerMixin, ModelSerializer):
    class Meta:
        model = Measured
        fields = ["title", "image"]
        extra_kwargs = {"image": {"allow_null": True}}


def picture(name="dune.jpg"):
    return SimpleUploadedFile(name, pictures.jpeg(), "image/jpeg")


@async_to_sync
async def saved(serializer):
    assert await serializer.ais_valid(), serializer.errors
    return await serializer.asave()


def test_an_image_is_staged_by_a_create_of_the_projects_own():
    saved(PhotoSerializer(data={"title": "Dune", "image": picture()}))

    assert Upload.objects.get().name == "dune.jpg"
    assert Photo.objects.get().title == "By acreate()"


def test_many_at_once_are_staged_each():
    data = [{"title": name, "image": picture(f"{name}.jpg")} for name in ("one", "two")]

    saved(PhotoSerializer(data=data, many=True))

    assert sorted(Upload.objects.values_list("name", flat=True)) == ["one.jpg", "two.jpg"]
    assert set(Photo.objects.values_list("title", flat=True)) == {"By acreate()"}


def test_an_update_keeps_the_old_image_until_the_new_one_is_attached():
    photo = Photo.objects.create(title="Old", image=picture("old.jpg"))

    saved(PhotoSerializer(photo, {"title": "New", "image": picture("new.jpg")}))

    photo.refresh_from_db()
    assert (photo.title, photo.image.name) == ("New", "photos/old.jpg")
    assert Upload.objects.get().name == "new.jpg"


def test_clearing_an_image_discards_a_pending_one_that_replaces_none():
    measured = Measured.objects.create(title="Dune")
    save_image(picture("new.jpg"), measured, "image")

    saved(MeasuredSerializer(measured, {"image": None}, partial=True))

    assert not Upload.objects.exists()
