"""The outbox in the admin, as an operator uses it, with long names and errors."""

from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from django_async_forms.models import Upload
from django_async_forms.uploads import save_image
from tests import pictures
from tests.project.models import Album, Document, Keyed, Photo

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/django_async_forms/upload/"
ERRORS = [
    "OSError: [Errno 28] No space left on device",
    "botocore.exceptions.ClientError: An error occurred (503) when calling the PutObject "
    "operation (reached max retries: 4): Please reduce your request rate. " * 4,
    "x" * 300,
]
NAMES = ["dune.jpg", "IMG_20260131_120000_" + "long" * 40 + ".jpeg", "Zürich am Abend (2).png"]
SIZES = [(640, 480), (1600, 300), (300, 900)]


def make_instance(number):
    return [
        lambda: Photo.objects.create(title="Dune", image=ContentFile(b"", name="old.jpg")),
        lambda: Document.objects.create(title="Deed"),
        lambda: Keyed.objects.create(title="Key"),
        lambda: Album.objects.create(name="Album"),
    ][number % 4]()


@pytest.fixture
def uploads(in_memory, broker):
    """Thirty uploads of all kinds: long names, long errors, several models, gone instances."""
    made = []
    for number in range(30):
        instance = make_instance(number)
        field = "scan" if isinstance(instance, Document) else None
        data = pictures.jpeg(*SIZES[number % 3])
        upload = save_image(in_memory(NAMES[number % 3], data), instance, field)
        row = Upload.objects.filter(pk=upload.pk)
        now = timezone.now()
        row.update(created_at=now - timedelta(minutes=number**3))
        if number % 3 == 0:
            error, kept = ERRORS[number // 3 % 3], now + timedelta(days=29)
            row.update(state="failed", attempts=12, error=error, due_at=kept)
        elif number % 5 == 0:
            row.update(due_at=now - timedelta(minutes=3), attempts=2, error=ERRORS[1])
        if number % 7 == 0:
            type(instance)._base_manager.filter(pk=instance.pk)._raw_delete("default")
        made.append(row.get())
    return made


@pytest.fixture
def admin_pages(pages, logged_in, live_server):
    """Opens pages of the admin as an operator."""

    def open_page(address, **options):
        page = pages("/photos/", **options)
        page.context.add_cookies([{**logged_in, "url": live_server.url}])
        page.goto(address)
        return page

    return open_page


def page_of(upload, name="change"):
    return f"{LIST}{upload.pk}/{name}/"


def overflow(page):
    """Return by how many pixels the page, and the table of the list, are too wide."""
    return page.evaluate(
        """() => [document.documentElement, document.querySelector(".results")]
            .filter(Boolean).map((element) => element.scrollWidth - element.clientWidth)"""
    )


def test_the_list_fits_1280_pixels_with_the_error_in_view(admin_pages, uploads):
    page = admin_pages(LIST, viewport={"width": 1280, "height": 800})

    assert overflow(page) == [0, 0]
    for cell in page.locator("td.field-last_error").all():
        box = cell.bounding_box()
        assert box["width"] > 150
        assert box["x"] + box["width"] < 1280


@pytest.mark.parametrize("width", [390, 800])
def test_the_pages_fit_smaller_screens(admin_pages, uploads, width):
    page = admin_pages(LIST, viewport={"width": width, "height": 800})
    assert overflow(page) == [0, 0]

    for address in (page_of(uploads[3]), page_of(uploads[4]), page_of(uploads[3], "delete")):
        page.goto(address)
        assert overflow(page) == [0]


@pytest.mark.parametrize("width", [390, 950, 1100, 1280])
def test_a_name_in_the_list_has_space_beside_the_sidebar_and_the_filters(
    admin_pages, uploads, width
):
    page = admin_pages(LIST, viewport={"width": width, "height": 800})

    assert min(cell.bounding_box()["width"] for cell in page.locator(".field-file_cell").all()) > 80


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_stage_has_one_height_for_each_image(admin_pages, uploads, number):
    page = admin_pages(page_of(uploads[number]))
    page.wait_for_function("() => document.querySelector('.outbox-stage img').naturalWidth > 0")

    box = page.locator(".outbox-stage").bounding_box()
    image = page.locator(".outbox-stage img").bounding_box()
    assert box["height"] == pytest.approx(288, abs=2)
    assert image["width"] <= box["width"]
    assert image["height"] <= box["height"]


def test_a_failed_upload_is_retried_with_the_keyboard(admin_pages, uploads):
    page = admin_pages(page_of(uploads[3]))

    page.focus("text=History")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.value") == "Retry"
    page.keyboard.press("Enter")

    page.wait_for_selector("text=1 upload will be retried.")
    assert Upload.objects.get(pk=uploads[3].pk).state == "pending"


@pytest.mark.parametrize("script", [True, False])
def test_an_upload_is_discarded_after_a_question(admin_pages, uploads, script):
    page = admin_pages(page_of(uploads[3]), java_script_enabled=script)

    page.click("text=Discard…")
    page.wait_for_selector("text=Do you want to discard this upload?")
    page.click("input[value=Discard]")

    page.wait_for_selector("text=1 upload was discarded.")
    assert not Upload.objects.filter(pk=uploads[3].pk).exists()


def test_the_question_can_be_answered_with_no(admin_pages, uploads):
    page = admin_pages(page_of(uploads[3]), java_script_enabled=False)

    page.click("text=Discard…")
    page.click("text=No, take me back")

    page.wait_for_url(f"**{LIST}")
    assert Upload.objects.filter(pk=uploads[3].pk).exists()


def test_without_javascript_the_selected_uploads_are_retried(admin_pages, uploads):
    page = admin_pages(f"{LIST}?state__exact=failed", java_script_enabled=False)

    for box in page.locator("input.action-select").all():
        box.check()
    page.select_option("[name=action]", "retry_uploads")
    page.click("[name=index]")

    page.wait_for_selector("text=10 uploads will be retried.")
