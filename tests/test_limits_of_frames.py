"""Limits for images with several frames or pages, and for images that other libraries opened."""

import io
import struct
import time

import pytest
from django import forms
from django.core.files.base import ContentFile
from PIL import Image

from django_async_forms.forms import AsyncImageFormMixin
from django_async_forms.images import dimensions
from tests import pictures
from tests.limits import PhotoForm, codes, form_with, upload
from tests.project.models import Photo


def frames_of(format_name, *sizes, mode="RGB", **options):
    """Return an image with different frames of these sizes."""
    first, *others = [Image.new(mode, size, ("red", "blue")[i % 2]) for i, size in enumerate(sizes)]
    file = io.BytesIO()
    first.save(file, format_name, save_all=True, append_images=others, **options)
    return file.getvalue()


def gif(canvas, *rectangles):
    """Return a handmade GIF, whose frames may lie outside its canvas."""
    frame = b"\x02\x02\x4c\x01\x00"  # LZW data of a few pixels, which nobody decodes.
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", *canvas, 0x80, 0, 0)
        + bytes(6)
        + b"".join(b"," + struct.pack("<HHHHB", *box, 0) + frame for box in rectangles)
        + b";"
    )


# Frames


Image.init()
ANIMATED = ["GIF", "PNG", "WEBP", "TIFF", "MPO", *{"AVIF"} & set(Image.SAVE_ALL)]


@pytest.mark.parametrize("format_name", ANIMATED)
def test_frames_with_the_most_pixels_together_are_accepted(limits, format_name):
    count = 2 if format_name == "MPO" else 5  # Pillow writes a wrong index for more than two.
    data = frames_of(format_name, *[(32, 24)] * count)

    limits(MAX_PIXELS=count * 32 * 24)
    assert codes(form_with(data)) == []

    limits(MAX_PIXELS=count * 32 * 24 - 1)
    assert codes(form_with(data)) == ["too_many_pixels"]


@pytest.mark.parametrize(
    ("format_name", "options"), [("TIFF", {}), ("TIFF", {"big_tiff": True}), ("MPO", {})]
)
def test_a_page_that_is_larger_than_the_first_counts_as_large(limits, format_name, options):
    data = frames_of(format_name, (16, 16), (400, 300), **options)

    limits(MAX_PIXELS=16 * 16 + 400 * 300)
    assert codes(form_with(data)) == []

    limits(MAX_PIXELS=16 * 16 + 400 * 300 - 1)
    assert codes(form_with(data)) == ["too_many_pixels"]


def test_a_page_in_the_other_byte_order_counts(limits):
    file = io.BytesIO()
    pages = [Image.new("I;16B", size) for size in ((16, 16), (400, 300))]
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    assert file.getvalue().startswith(b"MM")
    limits(MAX_PIXELS=16 * 16 + 400 * 300 - 1)

    assert codes(form_with(file.getvalue())) == ["too_many_pixels"]


def test_a_frame_that_makes_the_canvas_larger_counts_as_large(limits):
    limits(MAX_PIXELS=1_000_000)

    assert codes(form_with(gif((16, 16), (0, 0, 16, 16), (0, 0, 8000, 8000)))) == [
        "too_many_pixels"
    ]


def test_the_error_of_frames_names_the_limit(limits):
    limits(MAX_PIXELS=2_500_000)

    form = form_with(frames_of("GIF", *[(1000, 1000)] * 3, mode="L"))

    assert form.errors["image"] == [
        "This image, with all its frames, exceeds the limit of 2.5 megapixels."
    ]


def test_a_jpeg_with_bytes_after_it_has_one_frame(limits):
    limits(MAX_PIXELS=64 * 48)

    assert codes(form_with(pictures.jpeg(64, 48) + pictures.jpeg(64, 48))) == []


def reads_of(form_class, data):
    """Return how often a form reads an upload to validate it."""
    reads = []

    class Noting(io.BytesIO):
        def read(self, *args):
            reads.append(args)
            return super().read(*args)

    uploaded = upload(data)
    uploaded.file = Noting(data)
    assert form_class({"title": "Dune"}, {"image": uploaded}).is_valid()
    return len(reads)


def test_frames_are_not_counted_without_a_pixel_limit(limits):
    data = frames_of("TIFF", (16, 16), (400, 300))
    by_django = reads_of(forms.modelform_factory(Photo, fields=["title", "image"]), data)

    assert reads_of(PhotoForm, data) == by_django

    limits(MAX_PIXELS=10**6)
    assert reads_of(PhotoForm, data) > by_django


def test_no_frame_is_decoded_to_be_counted(limits, monkeypatch):
    data = {name: frames_of(name, *[(32, 24)] * 2) for name in ANIMATED}
    limits(MAX_PIXELS=10**6)

    def load(*args, **kwargs):
        raise AssertionError("A frame was decoded.")

    monkeypatch.setattr(Image.Image, "load", load)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    for name in ANIMATED:
        assert codes(form_with(data[name])) == [], name


def test_the_upload_is_read_from_its_beginning_after_its_frames_were_counted(limits):
    limits(MAX_PIXELS=10**6)
    data = frames_of("TIFF", (16, 16), (40, 30))
    form = form_with(data)

    assert codes(form) == []
    assert form.cleaned_data["image"].read() == data


# Hostile files


def tiff_with_pages(count):
    """Return a TIFF with a number of one-pixel pages, as small as possible."""
    tags = [(256, 1), (257, 1), (258, 1), (259, 1), (262, 1), (273, 8), (278, 1), (279, 1)]
    size = 2 + 12 * len(tags) + 4
    pages = []
    for i in range(count):
        following = 8 + (i + 1) * size if i + 1 < count else 0
        entries = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in tags)
        pages.append(struct.pack("<H", len(tags)) + entries + struct.pack("<L", following))
    return b"II*\0" + struct.pack("<L", 8) + b"".join(pages)


MANY = {
    "GIF": lambda: gif((1, 1), *[(0, 0, 1, 1)] * 1_000_000),
    "GIF in pieces": lambda: gif((1, 1), (0, 0, 1, 1))[:-2] + b"\x01\x00" * 5_000_000 + b"\x00;",
    "TIFF": lambda: tiff_with_pages(200_000),
}


@pytest.mark.parametrize("kind", MANY)
def test_a_file_made_to_be_counted_for_long_is_refused_quickly(limits, kind):
    data = MANY[kind]()
    limits(MAX_PIXELS=50_000_000)
    field = form_with(data).fields["image"]
    uploaded = upload(data)
    uploaded.image = Image.open(io.BytesIO(data))  # Like Django's field.

    start = time.process_time()
    with pytest.raises(forms.ValidationError) as refused:
        field.run_validators(uploaded)

    assert time.process_time() - start < 2
    assert [error.code for error in refused.value.error_list] == ["too_many_pixels"]


def test_counting_pages_that_form_a_circle_ends(limits):
    data = bytearray(tiff_with_pages(2))
    data[-4:] = struct.pack("<L", 8)
    limits(MAX_PIXELS=100)

    assert codes(form_with(bytes(data))) == []


def test_a_damaged_page_ends_the_count(limits):
    data = frames_of("TIFF", (16, 16), (40, 30))
    limits(MAX_PIXELS=16 * 16 + 40 * 30)

    for end in range(len(data) - 200, len(data), 10):
        assert codes(form_with(data[:end])) in ([], ["invalid_image"])


# Images that other libraries opened


class OfAnotherLibrary:
    """Willow's image on an upload, whose size is a method."""

    def get_size(self):
        return (64, 48)


class WillowField(forms.FileField):
    def to_python(self, data):
        uploaded = super().to_python(data)
        if uploaded:
            uploaded.image = OfAnotherLibrary()
        return uploaded


def form_class_with(field_class):
    class Form(AsyncImageFormMixin, forms.ModelForm):
        image = field_class()

        class Meta:
            model = Photo
            fields = ["title", "image"]

    return Form


@pytest.mark.parametrize("field_class", [WillowField, forms.FileField])
def test_limits_hold_for_a_form_field_that_does_not_use_pillow(limits, field_class):
    form_class = form_class_with(field_class)
    data = pictures.jpeg(64, 48)

    limits(MAX_PIXELS=64 * 48, FORMATS=["JPEG"])
    form = form_with(data, form_class)
    assert codes(form) == []
    assert form.cleaned_data["image"].read() == data

    limits(MAX_PIXELS=64 * 48 - 1)
    assert codes(form_with(data, form_class)) == ["too_many_pixels"]

    limits(FORMATS=["PNG"])
    assert codes(form_with(data, form_class)) == ["format"]

    limits(MAX_PIXELS=32 * 24)
    assert codes(form_with(frames_of("TIFF", *[(32, 24)] * 2), form_class)) == ["too_many_pixels"]


@pytest.mark.parametrize("field_class", [WillowField, forms.FileField])
def test_a_file_that_pillow_does_not_read_has_no_pixels_and_no_format(limits, field_class):
    form_class = form_class_with(field_class)
    drawing = b"<svg xmlns='http://www.w3.org/2000/svg'></svg>"

    limits(MAX_PIXELS=1)
    assert codes(form_with(drawing, form_class)) == []

    limits(FORMATS=["PNG"])
    assert codes(form_with(drawing, form_class)) == ["invalid_image"]


def test_the_position_of_the_upload_does_not_change(limits):
    limits(MAX_PIXELS=10**6)
    uploaded = upload(pictures.jpeg())
    uploaded.seek(7)

    form_class_with(forms.FileField)().fields["image"].run_validators(uploaded)

    assert uploaded.tell() == 7


# Dimensions


def turned(format_name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(file, format_name, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_dimensions_are_the_displayed_ones(format_name, orientation):
    expected = (64, 48) if orientation < 5 else (48, 64)

    assert dimensions(upload(turned(format_name, orientation))) == expected


def test_dimensions_come_from_the_image_that_the_form_opened():
    form = form_with(turned("JPEG", 6))
    assert form.is_valid()

    assert dimensions(form.cleaned_data["image"]) == (48, 64)


@pytest.mark.parametrize(
    "file",
    [
        ContentFile(b"", name="empty.jpg"),
        ContentFile(b"This is not an image.", name="dune.jpg"),
        ContentFile("text", name="dune.txt"),
        object(),
        None,
    ],
)
def test_dimensions_of_a_file_that_is_not_an_image_are_unknown(file):
    assert dimensions(file) == (None, None)


def test_dimensions_of_a_closed_file_are_unknown():
    uploaded = upload(pictures.jpeg())
    uploaded.close()

    assert dimensions(uploaded) == (None, None)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_data_turns_nothing():
    exif = b"Exif\0\0II*\0\xff\xff\xff\x7f"
    file = io.BytesIO()
    Image.new("RGB", (64, 48)).save(file, "JPEG", exif=exif)

    assert dimensions(upload(file.getvalue())) == (64, 48)


def test_reading_dimensions_neither_decodes_the_file_nor_moves_its_position(monkeypatch):
    uploaded = upload(turned("PNG", 6))
    uploaded.seek(7)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", None)

    assert dimensions(uploaded) == (48, 64)
    assert uploaded.tell() == 7
