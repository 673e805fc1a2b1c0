"""Limits: forms refuse files that are too large, in another format, or beyond the backlog."""

import io
import re

import pytest
from django import forms
from django.forms import inlineformset_factory, modelform_factory, modelformset_factory
from django.urls import reverse
from django.utils import translation
from PIL import Image

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.uploads import save_image
from django_async_forms.widgets import AsyncImageInput
from tests import pictures
from tests.both import async_form
from tests.limits import PhotoForm, codes, form_with, upload
from tests.project.models import Album, Document, Elsewhere, Page, Photo
from tests.worker import staged_files

pytestmark = pytest.mark.django_db(databases=["default", "other"])

TOO_MANY_BYTES, TOO_MANY_PIXELS, FORMAT, TOO_MANY_PENDING = (
    "too_many_bytes",
    "too_many_pixels",
    "format",
    "too_many_pending",
)


@pytest.fixture
def data():
    """The bytes of a JPEG of 64 by 48 pixels."""
    return pictures.jpeg(64, 48)


def image_of(format_name, **options):
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(file, format_name, **options)
    return file.getvalue()


def make_pending(count):
    for _ in range(count):
        save_image(upload(pictures.jpeg()), Photo.objects.create(title="Reef"))


# Bytes


def test_a_file_of_the_largest_size_is_accepted_and_one_byte_more_refused(limits, data):
    limits(MAX_BYTES=len(data))
    assert codes(form_with(data)) == []
    limits(MAX_BYTES=len(data) - 1)
    assert codes(form_with(data)) == [TOO_MANY_BYTES]


def test_the_error_of_a_large_file_gives_its_size_and_the_limit(limits):
    limits(MAX_BYTES=1024)

    form = form_with(pictures.jpeg() + b"\0" * 3072)

    (message,) = form.errors["image"]
    assert re.fullmatch(r"This file is \d\.\d\sKB; the limit is 1\.0\sKB\.", message)


def test_any_file_is_accepted_without_limits(limits, data):
    limits(MAX_BYTES=None, MAX_PIXELS=None, FORMATS=None, MAX_BACKLOG=None)

    assert codes(form_with(data)) == []


# Pixels


def test_an_image_of_the_most_pixels_is_accepted_and_one_pixel_more_refused(limits, data):
    limits(MAX_PIXELS=64 * 48)
    assert codes(form_with(data)) == []
    limits(MAX_PIXELS=64 * 48 - 1)
    assert codes(form_with(data)) == [TOO_MANY_PIXELS]


def test_the_error_of_a_large_image_gives_its_pixels_and_the_limit(limits):
    limits(MAX_PIXELS=2_500_000)
    form = form_with(pictures.jpeg(2000, 1300))

    assert form.errors["image"] == [
        "This image is 2000 × 1300 pixels; the limit is 2.5 megapixels."
    ]


def test_the_error_of_a_large_image_has_numbers_in_the_format_of_the_language(limits):
    limits(MAX_PIXELS=2_500_000)

    with translation.override("de"):
        assert "2,5 Megapixel" in form_with(pictures.jpeg(2000, 1300)).errors["image"][0]


# Formats


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("content_type", ["image/jpeg", "application/octet-stream"])
def test_an_allowed_format_is_accepted_with_any_content_type(limits, name, content_type):
    limits(FORMATS=["JPEG", "PNG", "WEBP"])

    assert codes(form_with(image_of(name), content_type=content_type)) == []


def test_another_format_is_refused(limits):
    limits(FORMATS=["JPEG", "WEBP"])

    form = form_with(image_of("PNG"), name="dune.png", content_type="image/png")

    assert codes(form) == [FORMAT]
    assert form.errors["image"] == [
        "Images of the format PNG are not allowed. Choose one of these: JPEG, WEBP."
    ]


def test_a_wrong_name_and_content_type_do_not_matter(limits):
    limits(FORMATS=["JPEG"])

    assert codes(form_with(image_of("GIF"), name="dune.jpg", content_type="image/jpeg")) == [FORMAT]


def test_a_jpeg_with_a_second_image_in_it_is_a_jpeg(limits, data):
    # Phones write such files. Pillow calls the format MPO.
    second = Image.new("RGB", (32, 24))
    photo = image_of("MPO", save_all=True, append_images=[second])
    assert Image.open(pictures.as_file(photo)).format == "MPO"

    limits(FORMATS=["JPEG"])

    assert codes(form_with(photo)) == []


# Backlog


def test_a_form_is_refused_when_the_backlog_is_full(limits, data):
    make_pending(2)
    limits(MAX_BACKLOG=3)
    assert codes(form_with(data)) == []
    limits(MAX_BACKLOG=2)

    form = form_with(data)

    assert codes(form) == [TOO_MANY_PENDING]
    assert "try again in a few minutes" in form.errors["image"][0]


def test_failed_uploads_count_towards_the_backlog(limits, data):
    make_pending(1)
    Upload.objects.update(state="failed")
    limits(MAX_BACKLOG=1)

    assert codes(form_with(data)) == [TOO_MANY_PENDING]


def test_another_database_has_its_own_backlog(limits, data):
    make_pending(1)
    limits(MAX_BACKLOG=1)
    form_class = modelform_factory(Elsewhere, form=AsyncImageModelForm, fields=["title", "image"])

    assert codes(form_with(data, form_class)) == []


def test_a_form_without_an_upload_is_valid_when_the_backlog_is_full(limits):
    make_pending(1)
    limits(MAX_BACKLOG=1)
    photo = Photo.objects.create(title="Dune", image="dune.jpg")

    assert PhotoForm({"title": "Reef"}, {}, instance=photo).is_valid()


def test_checking_a_backlog_of_any_length_takes_two_queries(
    limits, data, django_assert_num_queries
):
    make_pending(5)
    limits(MAX_BACKLOG=100)
    form = form_with(data)

    with django_assert_num_queries(2):  # Of the uploads, and of the drafts.
        form.is_valid()


def test_no_query_is_made_without_a_backlog_limit(data, django_assert_num_queries):
    form = form_with(data)

    with django_assert_num_queries(0):
        form.is_valid()


# Every form


@pytest.fixture(
    params=[
        ("MAX_BYTES", 100, TOO_MANY_BYTES),
        ("MAX_PIXELS", 100, TOO_MANY_PIXELS),
        ("FORMATS", ["PNG"], FORMAT),
        ("MAX_BACKLOG", 1, TOO_MANY_PENDING),
    ],
    ids=lambda limit: limit[0],
)
def code(request, limits):
    """Runs the test with each limit that refuses the image; returns the reason."""
    make_pending(1)
    key, value, code = request.param
    limits(**{key: value})
    return code


def test_a_refused_file_leaves_nothing_behind(client, data, staging, code, settings):
    before = Photo.objects.count(), Upload.objects.get(), staged_files()

    response = client.post(reverse("photo-add"), {"title": "Dune", "image": upload(data)})

    assert response.status_code == 200
    assert codes(response.context["form"]) == [code]
    assert (Photo.objects.count(), Upload.objects.get(), staged_files()) == before
    assert not settings.MEDIA_ROOT.exists()


def test_an_update_that_is_refused_leaves_the_image(client, data, code):
    photo = Photo.objects.create(title="Dune", image="dune.jpg")

    page = reverse("photo-change", args=[photo.pk])
    response = client.post(page, {"title": "Reef", "image": upload(data)})

    assert codes(response.context["form"]) == [code]
    assert Photo.objects.filter(title="Dune", image="dune.jpg").exists()
    assert Upload.objects.count() == 1


def test_a_formset_refuses_on_the_form_with_the_upload(data, code):
    formset_class = modelformset_factory(Photo, form=PhotoForm, extra=2)
    posted = {"form-TOTAL_FORMS": 2, "form-INITIAL_FORMS": 0}
    posted |= {"form-0-title": "Dune", "form-1-title": ""}
    formset = formset_class(posted, {"form-0-image": upload(data)}, queryset=Photo.objects.none())

    assert not formset.is_valid()
    assert codes(formset.forms[0]) == [code]
    assert not formset.forms[1].errors


def test_an_inline_formset_refuses_on_the_form_with_the_upload(data, code):
    formset_class = inlineformset_factory(
        Album, Page, form=AsyncImageModelForm, fields=["image"], extra=1
    )
    formset = formset_class(
        {"pages-TOTAL_FORMS": 1, "pages-INITIAL_FORMS": 0},
        {"pages-0-image": upload(data)},
        instance=Album.objects.create(name="Sand"),
    )

    assert codes(formset.forms[0]) == [code]


def test_the_admin_refuses_with_the_error_of_the_form(admin_client, data, code):
    page = reverse("admin:project_photo_add")
    response = admin_client.post(page, {"title": "Dune", "image": upload(data)})

    assert codes(response.context["adminform"].form) == [code]
    assert not Photo.objects.filter(title="Dune").exists()


def test_a_field_that_is_saved_in_the_request_is_not_limited(limits):
    make_pending(1)
    limits(MAX_BYTES=10, MAX_BACKLOG=1)
    files = {"file": upload(b"x" * 1000, name="deed.txt")}

    form = async_form(Document, {"title": "Deed"}, files, fields=["title", "file", "scan"])

    assert form.is_valid()


def test_a_plain_file_that_a_worker_saves_is_limited_in_bytes_and_number(limits):
    class DocumentForm(AsyncImageModelForm):
        async_fields = ["file"]

        class Meta:
            model = Document
            fields = ["title", "file"]

    def file_codes():
        form = DocumentForm({"title": "Deed"}, {"file": upload(b"x" * 100, name="deed.txt")})
        return codes(form, "file")

    make_pending(1)
    limits(MAX_BYTES=100, MAX_PIXELS=1, FORMATS=["PNG"])
    assert file_codes() == []
    limits(MAX_BYTES=99)
    assert file_codes() == [TOO_MANY_BYTES]
    limits(MAX_BACKLOG=1)
    assert file_codes() == [TOO_MANY_PENDING]


def test_a_form_without_the_mixin_is_not_limited(limits, data):
    make_pending(1)
    limits(MAX_BYTES=10, MAX_PIXELS=10, FORMATS=["PNG"], MAX_BACKLOG=1)
    form_class = modelform_factory(Photo, fields=["title", "image"])

    assert form_with(data, form_class).is_valid()


def test_the_limits_of_one_form_are_not_added_to_its_class(limits, data):
    limits(MAX_BYTES=10)
    for _ in range(3):
        assert codes(form_with(data)) == [TOO_MANY_BYTES]


def test_a_file_that_is_not_an_image_is_refused_as_by_django(limits):
    limits(FORMATS=["JPEG"], MAX_PIXELS=10)

    assert codes(form_with(b"This is not an image.")) == ["invalid_image"]


# The file dialog


class WithInput(AsyncImageModelForm):
    image_widget = AsyncImageInput

    class Meta:
        model = Photo
        fields = ["title", "image"]


def accepted(form):
    (accept,) = re.findall(r'<input type="file"[^>]* accept="([^"]*)"', str(form["image"]))
    return accept


def test_the_file_dialog_offers_all_images_and_then_the_allowed_formats(limits):
    assert accepted(WithInput()) == "image/*"

    limits(FORMATS=["JPEG", "PNG", "WEBP"])

    assert accepted(WithInput()) == "image/jpeg,image/png,image/webp"


def test_the_file_dialog_prefers_the_formats_of_the_widget(limits):
    class OwnAccept(WithInput):
        class Meta(WithInput.Meta):
            widgets = {"image": forms.ClearableFileInput(attrs={"accept": ".jpg"})}

    limits(FORMATS=["JPEG", "PNG"])

    assert accepted(OwnAccept()) == ".jpg"


def test_the_page_has_the_largest_size(limits, settings):
    assert "data-max-bytes" not in str(WithInput()["image"])
    settings.USE_THOUSAND_SEPARATOR = True
    limits(MAX_BYTES=5_000_000)

    html = str(WithInput()["image"])

    assert 'data-max-bytes="5000000"' in html
    assert "This file is {}\xa0MB; the limit is 4.8\xa0MB." in html
