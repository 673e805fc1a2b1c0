"""Files that a form's validation rewrites or replaces, and names that a database may refuse."""

import io
import os

import pytest
from django import forms
from django.conf import settings
from django.core.files.base import ContentFile
from django.db import connections
from PIL import Image

from django_async_forms.forms import AsyncImageFormMixin
from django_async_forms.models import AbandonedName, StoredChunk, Upload
from django_async_forms.tasks import save_image_task
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from tests import pictures
from tests.project.models import Photo
from tests.situations.forms import async_form, both, bytes_of, loaded, saved
from tests.situations.models import TwoImages, Validated

pytestmark = pytest.mark.django_db

TRAIL = b"GPS: 52.5200, 13.4050. " * 1000


@pytest.fixture(params=["plain", "database", "files"])
def save_cleaned(request):
    """
    Saves a form with a given ``clean_image()``, and then the pending image.

    The test runs with a plain form, and with ours on each staging storage.
    """
    if request.param == "files":
        request.getfixturevalue("location")
    mixins = () if request.param == "plain" else (AsyncImageFormMixin,)
    bases = (*mixins, forms.ModelForm)

    def save(clean, uploaded, instance=None):
        def clean_image(self):
            return clean(self.cleaned_data["image"]) or self.cleaned_data["image"]

        meta = type("Meta", (), {"model": Photo, "fields": ["title", "image"]})
        form_class = type(forms.ModelForm)(
            "Form", bases, {"Meta": meta, "clean_image": clean_image}
        )
        form = form_class({"title": "Dune"}, {"image": uploaded}, instance=instance)
        assert form.is_valid(), form.errors
        photo = form.save()
        save_pending_uploads()
        return photo

    return save


def rewrite_at_path(data):
    def clean(uploaded):
        with open(uploaded.temporary_file_path(), "wb") as file:
            file.write(data)

    return clean


def replace_at_path(data):
    def clean(uploaded):
        path = uploaded.temporary_file_path()
        with open(f"{path}.new", "wb") as file:
            file.write(data)
        os.replace(f"{path}.new", path)

    return clean


def write_through_file(data):
    def clean(uploaded):
        uploaded.file.seek(0)
        uploaded.file.truncate()
        uploaded.file.write(data)
        uploaded.file.flush()
        uploaded.seek(0)

    return clean


def edit_with_pillow(uploaded):
    path = uploaded.temporary_file_path()
    with Image.open(path) as image:
        image.load()
        image.resize((8, 8)).save(path, "JPEG")


@pytest.mark.parametrize("rewrite", [rewrite_at_path, replace_at_path, write_through_file])
@pytest.mark.parametrize("length", ["shorter", "longer", "as long"])
def test_the_file_as_validation_leaves_it_is_stored(rewrite, length, save_cleaned, on_disk):
    before = pictures.jpeg()
    after = {
        "shorter": pictures.jpeg(16, 16),
        "longer": pictures.jpeg() + TRAIL,
        "as long": before[:-4] + b"GPS!",
    }[length]

    photo = save_cleaned(rewrite(after), on_disk(data=before))

    assert bytes_of(photo) == after


def test_a_file_that_pillow_saves_at_the_path_is_stored(save_cleaned, on_disk):
    photo = save_cleaned(edit_with_pillow, on_disk(data=pictures.jpeg() + TRAIL))

    with Image.open(io.BytesIO(bytes_of(photo))) as image:
        assert image.size == (8, 8)
    assert b"GPS" not in bytes_of(photo)


def test_a_file_that_replaces_the_file_of_an_update_is_stored(save_cleaned, on_disk):
    after = pictures.jpeg()
    photo = Photo.objects.create(title="Old", image=ContentFile(b"old", "old.jpg"))

    save_cleaned(replace_at_path(after), on_disk(data=pictures.jpeg() + TRAIL), photo)

    assert bytes_of(photo) == after


def test_bytes_written_to_a_file_in_memory_are_stored(save_cleaned, in_memory):
    after = pictures.jpeg(16, 16)

    photo = save_cleaned(write_through_file(after), in_memory(data=pictures.jpeg() + TRAIL))

    assert bytes_of(photo) == after


def test_another_file_that_validation_returns_is_stored(save_cleaned, any_image):
    after = pictures.jpeg()

    photo = save_cleaned(lambda uploaded: ContentFile(after, "another.jpg"), any_image)

    assert bytes_of(photo) == after
    assert loaded(photo).image.name == "photos/another.jpg"


def test_a_name_that_validation_gives_is_that_of_the_file(save_cleaned, any_image):
    def clean(uploaded):
        uploaded.name = "renamed.jpg"

    assert loaded(save_cleaned(clean, any_image)).image.name == "photos/renamed.jpg"


def test_a_file_that_validation_has_read_to_its_end_is_stored_whole(save_cleaned, any_image):
    def clean(uploaded):
        assert uploaded.read() == any_image.data

    assert bytes_of(save_cleaned(clean, any_image)) == any_image.data


def test_two_fields_that_validation_gives_one_file_have_both_its_bytes(image, staging):
    form = async_form(TwoImages, {"title": "x"}, {"image": image})
    form.instance.cover = form.cleaned_data["image"]

    two = form.save()
    save_pending_uploads()

    assert (bytes_of(two), bytes_of(two, "cover")) == (image.data, image.data)


# Images of another library


class Willow:
    """An image of another library, without Pillow's size and format."""


class WillowField(forms.ImageField):
    def to_python(self, data):
        uploaded = super().to_python(data)
        if uploaded is not None:
            uploaded.image = Willow()
        return uploaded


def test_an_upload_with_the_image_of_another_library_is_attached(any_image, staging):
    class Form(AsyncImageFormMixin, forms.ModelForm):
        image = WillowField()

        class Meta:
            model = Photo
            fields = ["title", "image"]

    photo = Form({"title": "x"}, {"image": any_image}).save()
    save_pending_uploads()

    assert bytes_of(photo) == any_image.data


# Names


NAMES = ["😀.jpg", "dune 🏜️ at night.jpg", "naïve-日本語.jpg", "\U0001d49fune.jpg"]


@both
@pytest.mark.parametrize("name", NAMES)
def test_any_name_becomes_that_of_a_plain_form(name, base, in_memory):
    photo = saved(base, Photo, {"title": "x"}, {"image": in_memory(name)})

    stored = photo.image.name
    assert stored == "photos/" + photo.image.storage.get_valid_name(name)


@pytest.fixture
def utf8mb3(db):
    """The alias of a utf8mb3 database with the tables of a photo and of the outbox."""
    if settings.DATABASE != "mariadb":
        pytest.skip("only MariaDB and MySQL have databases of utf8mb3")
    of_tests = connections["other"]
    other = of_tests.copy()
    name = f"{other.settings_dict['NAME']}_mb3"
    with other.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name}")
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb3")
    other.close()
    other.settings_dict["NAME"] = name
    connections["other"] = other
    try:
        with other.schema_editor() as editor:
            for model in (Photo, Upload, AbandonedName, StoredChunk):
                editor.create_model(model)
        yield "other"
    finally:
        with other.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name}")
        other.close()
        connections["other"] = of_tests


@pytest.mark.django_db(databases=["default", "other"])
@pytest.mark.parametrize("name", NAMES[:-1])  # A plain form cannot store the last.
def test_a_database_of_utf8mb3_takes_any_name(name, utf8mb3, in_memory):
    data = pictures.jpeg()
    form = async_form(Photo, {"title": "x"}, {"image": in_memory(name, data)})
    form.save(commit=False).save(using=utf8mb3)

    save_pending_uploads(utf8mb3)

    photo = Photo.objects.using(utf8mb3).get()
    assert pictures.stored(photo.image) == data


@pytest.mark.django_db(databases=["default", "other"])
def test_a_database_of_utf8mb3_takes_the_error_of_a_name_that_its_column_refuses(
    utf8mb3, in_memory, settings
):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
    form = async_form(Photo, {"title": "x"}, {"image": in_memory(NAMES[-1])})
    form.save(commit=False).save(using=utf8mb3)
    (upload,) = Upload.objects.using(utf8mb3)

    save_image_task.apply(args=[str(upload.pk), utf8mb3], throw=False)

    upload.refresh_from_db()
    assert upload.state == Upload.State.FAILED


def test_save_image_takes_a_name_with_an_emoji(in_memory, staging):
    photo = Photo.objects.create(title="x", image="old.jpg")
    data = pictures.jpeg()
    save_image(in_memory("😀 dune.jpg", data), photo)

    save_pending_uploads()

    assert bytes_of(photo) == data


# Turned photos


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(file, "JPEG", exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("make", ["in_memory", "on_disk"])
@pytest.mark.parametrize(("orientation", "shape"), [(1, (64, 48)), (3, (64, 48)), (6, (48, 64))])
def test_the_upload_of_a_turned_photo_has_the_shape_that_browsers_display(
    make, orientation, shape, request
):
    uploaded = request.getfixturevalue(make)(data=turned(orientation))
    async_form(Photo, {"title": "x"}, {"image": uploaded}).save()

    upload = Upload.objects.get()
    assert (upload.width, upload.height) == shape


@both
def test_the_dimension_columns_of_a_turned_photo_are_djangos(base, in_memory):
    entry = saved(base, Validated, {"title": "x"}, {"image": in_memory(data=turned(6))})

    assert (entry.width, entry.height) == (64, 48)
