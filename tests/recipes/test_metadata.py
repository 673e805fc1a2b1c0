"""docs/howto/metadata.rst: only the picture of a photograph is stored, without its metadata."""

import io

import pytest
from django.apps import apps
from PIL import Image, ImageCms
from PIL.ExifTags import GPS, IFD, Base

from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures

pytestmark = pytest.mark.django_db

CAMERA = "Camera of Ann"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def photograph(kind, **more):
    """Return a photograph with metadata, taken with a turned camera. Its upper half is red."""
    picture = Image.new("RGB", (64, 48), "blue")
    picture.paste("red", (0, 0, 32, 48))  # The upper half, once the picture is turned.
    exif = Image.Exif()
    exif[Base.Orientation] = 6
    exif[Base.Make] = CAMERA
    exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude] = (52.0, 22.0, 12.0)
    file = io.BytesIO()
    picture.save(file, kind, exif=exif, icc_profile=PROFILE, **more)
    return file.getvalue()


def says_more(data):
    with Image.open(io.BytesIO(data)) as image:
        return image.getexif() or {"comment", "XML:com.adobe.xmp", "xmp", "mp"} & set(image.info)


def second_image():
    image = Image.new("RGB", (8, 8))
    return {"save_all": True, "append_images": [image]}


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("JPEG", {"comment": CAMERA.encode(), "quality": 95}),
        ("MPO", second_image()),
        ("PNG", {}),
        ("WEBP", {"xmp": CAMERA.encode(), "quality": 95}),
    ],
    ids=["JPEG", "MPO", "PNG", "WebP"],
)
def test_the_picture_is_stored_and_nothing_else(kind, more, save_form, in_memory):
    model = apps.get_model("picture_only.Photo")
    data = photograph(kind, **more)
    assert says_more(data)
    assert CAMERA.encode() in data
    photo = save_form(model, image=in_memory("dune.jpg", data), title="Dune")
    with Upload.objects.get().open_staged() as staged:
        assert staged.read() == data

    save_pending_uploads()

    photo.refresh_from_db()
    stored = pictures.stored(photo.image)
    assert not says_more(stored)
    assert CAMERA.encode() not in stored
    with Image.open(io.BytesIO(stored)) as image:
        assert image.format == ("JPEG" if kind == "MPO" else kind)
        assert image.size == (48, 64)
        assert image.info["icc_profile"] == PROFILE
        red, _, blue = image.convert("RGB").getpixel((24, 10))
        assert red > 200 > 60 > blue


def test_a_picture_with_transparent_parts_keeps_them(save_and_attach, in_memory):
    file = io.BytesIO()
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(file, "PNG")
    picture = in_memory("dune.png", file.getvalue())

    photo = save_and_attach(apps.get_model("picture_only.Photo"), image=picture, title="Dune")

    with photo.image.open() as stored, Image.open(stored) as image:
        assert image.convert("RGBA").getpixel((4, 4)) == (255, 0, 0, 0)
