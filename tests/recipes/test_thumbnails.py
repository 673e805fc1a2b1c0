"""docs/howto/thumbnails.rst: each library makes its thumbnails in the worker."""

import pytest
from django.apps import apps

from django_async_forms.signals import image_saved
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.compatibility import libraries
from tests.pages import block

PAGE = "docs/howto/thumbnails.rst"

pytestmark = [
    pytest.mark.django_db,
    # django-versatileimagefield does not close the files of which it makes renditions.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def aliases(settings):
    """The alias of easy-thumbnails that the page names."""
    libraries.need("easy-thumbnails")
    from easy_thumbnails.alias import aliases

    settings.THUMBNAIL_ALIASES = {"": {"small": {"size": (320, 240), "crop": True}}}
    aliases.populate_from_settings()


@pytest.mark.parametrize(
    ("library", "address"),
    [
        ("django-imagekit", lambda photo: photo.small.url),
        ("django-stdimage", lambda photo: photo.image.small.url),
        ("django-pictures", lambda photo: photo.image.aspect_ratios["1/1"]["WEBP"][800].url),
        ("easy-thumbnails", lambda photo: photo.image["small"].url),
        ("django-versatileimagefield", lambda photo: photo.image.crop["320x240"].url),
    ],
)
def test_thumbnails_exist_before_a_page_asks(library, address, save_form, in_memory, media):
    libraries.need(library)
    model = apps.get_model(f"{library.replace('-', '_')}_page.Photo")
    photo = save_form(model, image=in_memory(data=pictures.jpeg(1000, 800)))
    assert not photo.image

    save_pending_uploads()

    stored = {f"/media/{path.relative_to(media)}" for path in media.rglob("*") if path.is_file()}
    photo = model.objects.get()
    assert photo.image.url in stored
    assert address(photo) in stored - {photo.image.url}


def test_sorl_thumbnail_makes_the_thumbnails_of_a_page_in_the_worker(
    save_and_attach, in_memory, media, connected
):
    libraries.need("sorl-thumbnail")
    connected(image_saved)
    page = block(PAGE, "get_thumbnail").execute()
    image = in_memory(data=pictures.jpeg(1000, 800))
    photo = save_and_attach(page.Photo, image=image, title="Dune")
    files = sorted(media.rglob("*.jpg"))
    assert len(files) == 2

    html = block(PAGE, "{% thumbnail").render(photo=photo)

    assert 'width="320" height="240"' in html
    assert sorted(media.rglob("*.jpg")) == files
