"""What a person sees in a browser: the image on its way, the image, or that there is none."""

import json
import re
from itertools import pairwise

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.files.base import ContentFile

from django_async_forms import delivery
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from tests import pictures
from tests.browser.conftest import requests_of
from tests.project.models import OnlyImages, Photo
from tests.worker import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SEND = "[type=submit], form button"


def add(page, path, title="Dune"):
    page.fill("[name=title]", title)
    page.set_input_files("[name=image]", path)
    page.click(SEND)


def owe(in_memory, photo=None, name="dune.jpg"):
    photo = photo or Photo.objects.create(title="Dune")
    return save_image(in_memory(name, pictures.jpeg(320, 240)), photo)


def give_up(upload):
    Upload.objects.filter(pk=upload.pk).update(state="failed", error="OSError: no room")


@pytest.fixture
def owed(in_memory, broker):
    """A photo whose image is owed, which no worker is there for."""
    return owe(in_memory)


def address(upload, what=""):
    return f"/photos/{upload.object_pk}/{what}"


# Create, update, failure


def test_a_new_image_appears_by_itself(pages, workers, witness, picture):
    workers.start()
    witness.order("hold")
    page = pages("/photos/add/")

    add(page, picture())
    page.wait_for_selector("async-image[data-state=pending] >> text=The image is being saved")
    assert page.get_attribute("async-image", "aria-busy") == "true"
    witness.withdraw("hold")

    image = page.wait_for_selector("async-image[data-state=saved] img")
    assert image.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [320, 240]
    assert image.get_attribute("alt") == "Dune"
    assert image.get_attribute("class") == "shown"
    assert not page.is_visible("text=The image is being saved")
    assert page.get_attribute("async-image", "aria-busy") is None
    assert page.text_content("[role=status]") == "The image is saved"


def test_the_old_image_is_shown_until_the_new_one_is_there(pages, workers, witness, picture):
    workers.start()
    photo = Photo.objects.create(title="Dune", image=ContentFile(pictures.jpeg(), name="old.jpg"))
    witness.order("hold")
    page = pages(f"/photos/{photo.pk}/change/")

    add(page, picture())
    page.wait_for_selector("async-image >> text=The new image is being saved")
    assert page.get_attribute("async-image > img", "src").endswith("old.jpg")
    witness.withdraw("hold")

    page.wait_for_selector("async-image[data-state=saved] > img[src$='dune.jpg']")


def test_an_image_that_cannot_be_saved_says_so_and_appears_when_it_is_retried(
    pages, workers, witness, picture
):
    workers.start(MAX_ATTEMPTS=1)
    witness.order("fail")
    page = pages("/photos/add/")

    add(page, picture())
    page.wait_for_selector("async-image[data-state=failed] >> text=could not be saved")

    witness.withdraw("fail")
    delivery.retry(Upload.objects.all())
    wait_until(lambda: not Upload.objects.exists(), "the image is saved")
    page.reload()
    page.wait_for_selector("img[src$='dune.jpg']")
    assert not page.query_selector("async-image")


def test_a_page_can_react_to_the_image(pages, owed, broker):
    page = pages(address(owed))
    page.evaluate(
        "addEventListener('django-async-forms:saved', "
        "event => { document.title = event.detail.url; })"
    )

    save_pending_uploads()

    page.wait_for_function("() => document.title.endsWith('dune.jpg')")


def test_an_image_that_is_cleared_meanwhile_leaves_no_box(pages, owed):
    page = pages(address(owed))
    page.wait_for_selector("async-image svg")

    Upload.objects.all().discard()

    page.wait_for_selector("async-image[data-state=saved]", state="attached")
    assert not page.query_selector("async-image svg")


# Without JavaScript


def test_without_javascript_there_is_a_link_to_refresh(pages, owed):
    page = pages(address(owed), java_script_enabled=False)
    assert page.is_visible("async-image >> text=The image is being saved")

    save_pending_uploads()
    page.click("async-image >> text=Refresh")

    page.wait_for_selector("img[src$='dune.jpg']")


def test_without_javascript_a_form_can_be_sent(pages, broker, picture):
    page = pages("/photos/add/", java_script_enabled=False)

    add(page, picture())

    page.wait_for_selector("text=The image is being saved")
    assert Upload.objects.get().name == "dune.jpg"


# How it asks


def test_a_hundred_images_are_one_request_at_a_time(pages, in_memory, broker):
    for _ in range(100):
        owe(in_memory)
    page = pages("/photos/")
    with requests_of(page, "/uploads/status/") as requests:
        wait_until(lambda: page.wait_for_timeout(10) or len(requests) >= 2, "it asks again")
        assert all(len(json.loads(request.post_data)["tokens"]) == 100 for request in requests)
        save_pending_uploads()
        page.wait_for_function("() => !document.querySelector('async-image[data-state=pending]')")

    assert page.locator("async-image[data-state=saved] img").count() == 100
    assert len(requests) < 10


def test_a_tab_that_nobody_looks_at_asks_nothing(pages, owed):
    page = pages(address(owed))
    hide = """hidden => {
        Object.defineProperty(document, "hidden", {configurable: true, get: () => hidden});
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, True)
    with requests_of(page, "/uploads/status/") as requests:
        # As long as it would take to ask three times.
        page.evaluate("new Promise(done => setTimeout(done, 2000))")
        assert requests == []

        save_pending_uploads()
        page.evaluate(hide, False)
        page.wait_for_selector("img[src$='dune.jpg']")


def test_it_asks_less_and_less_often(pages, owed):
    page = pages(address(owed))
    with requests_of(page, "/uploads/status/") as requests:
        wait_until(lambda: page.wait_for_timeout(10) or len(requests) >= 4, "it asks four times")
    starts = page.evaluate(
        "performance.getEntriesByType('resource').filter("
        "entry => entry.name.includes('/uploads/status/')).map(entry => entry.startTime)"
    )
    pauses = [later - earlier for earlier, later in pairwise(starts)]

    assert pauses == sorted(pauses)


def test_once_its_token_has_expired_it_asks_no_more(pages, owed, settings):
    page = pages(address(owed))
    settings.ASYNC_FORMS = {"STATUS_MAX_AGE": 0.001}

    page.wait_for_selector("async-image >> text=Refresh")
    with requests_of(page, "/uploads/status/") as requests:
        page.evaluate("new Promise(done => setTimeout(done, 1500))")

    assert requests == []


# The form


def test_the_chosen_image_is_shown_before_it_is_sent(pages, picture):
    page = pages("/photos/add/")

    page.set_input_files("[name=image]", picture())

    image = page.wait_for_selector(".async-image-preview img")
    page.wait_for_function("image => image.naturalWidth === 320", arg=image)


def test_the_progress_of_the_bytes_is_shown(pages, broker, picture):
    page = pages("/photos/add/")
    page.evaluate(
        "new MutationObserver(() => { window.shown = true; }).observe("
        "document.querySelector('progress'), {attributeFilter: ['value']})"
    )
    # The page that shows it goes when the answer is there.
    page.route("**/photos/add/", lambda route: page.evaluate("shown") and route.continue_())

    add(page, picture(data=pictures.jpeg(1200, 900)))

    page.wait_for_selector("async-image")
    assert page.url.endswith(f"/photos/{Photo.objects.get().pk}/")


def test_a_message_of_the_view_is_shown_once_the_form_is_sent(pages, broker, picture):
    page = pages("/photos/add/")

    add(page, picture())

    page.wait_for_selector("text=Thank you.")


def test_back_leads_to_the_form(pages, broker, picture):
    page = pages("/photos/add/")
    add(page, picture())
    page.wait_for_selector("async-image")

    page.go_back()

    page.wait_for_selector("[name=title]")
    assert page.url.endswith("/photos/add/")


def test_errors_are_shown_after_the_form_is_sent(pages, broker, picture):
    page = pages("/photos/add/")

    add(page, picture("dune.png", b"This is no image."))

    page.wait_for_selector("text=Upload a valid image")
    assert page.input_value("[name=title]") == "Dune"


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(pages, picture, settings):
    settings.ASYNC_FORMS = {"MAX_BYTES": 1000}
    page = pages("/photos/add/")

    with requests_of(page, "/photos/") as requests:
        add(page, picture())
        page.wait_for_selector("text=This file is too large")

    assert requests == []


def test_a_file_of_another_type_is_refused_before_it_is_sent(pages, picture, settings):
    settings.ASYNC_FORMS = {"FORMATS": ["PNG"]}
    page = pages("/photos/add/")

    with requests_of(page, "/photos/") as requests:
        add(page, picture())
        page.wait_for_selector("text=Files of this type are not allowed")

    assert requests == []


def test_the_widget_works_in_a_plain_template(pages, broker, in_memory, picture):
    images = OnlyImages.objects.create(front=in_memory("front.jpg"))
    page = pages(f"/plain/{images.pk}/")
    assert page.is_visible("img[src$='front.jpg']")

    page.check("[name=front-clear]")
    page.set_input_files("[name=back]", picture("back.jpg"))
    page.click(SEND)

    page.wait_for_selector("async-image[data-state=pending]")
    assert Upload.objects.get().field_name == "back"
    assert not OnlyImages.objects.get().front


def test_what_is_owed_can_be_cleared(pages, broker, in_memory):
    images = OnlyImages.objects.create()
    save_image(in_memory(), images, "front")
    page = pages(f"/plain/{images.pk}/")

    page.check("[name=front-clear]")
    page.click(SEND)

    page.wait_for_url(re.compile(r"\?done$"))
    assert not Upload.objects.exists()


# Admin


def test_the_admin_shows_what_is_being_saved(pages, owed, in_memory, logged_in, live_server):
    give_up(owe(in_memory))
    page = pages("/photos/")
    page.context.add_cookies([{**logged_in, "url": live_server.url}])

    page.goto("/admin/project/photo/")
    cells = page.locator("td.field-async_uploads").all_text_contents()
    assert sorted(cells) == ["Image: failed", "Image: pending"]

    page.goto(f"/admin/project/photo/{owed.object_pk}/change/")
    page.wait_for_selector("async-image >> text=The image is being saved")
    save_pending_uploads()
    page.wait_for_selector("async-image[data-state=saved] img")


# For everyone


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("what", ["create", "update", "pending", "failed", "list"])
def test_axe_finds_nothing(what, colours, pages, owed, in_memory):
    if what == "failed":
        give_up(owed)
    page = pages(
        {"create": "/photos/add/", "update": address(owed, "change/"), "list": "/photos/"}.get(
            what, address(owed)
        ),
        color_scheme=colours,
        bypass_csp=True,  # Axe is put into the page.
    )

    results = Axe().run(page)

    assert results.violations_count == 0, results.generate_report()


def test_nothing_moves_for_whoever_wants_that(pages, owed):
    motion = "getComputedStyle(document.querySelector('.async-image-dot')).animationName"

    still = pages(address(owed), reduced_motion="reduce").evaluate(motion)
    moving = pages(address(owed), reduced_motion="no-preference").evaluate(motion)

    assert (still, moving) == ("none", "async-image-pulse")


def test_the_note_is_at_the_start_of_the_line_in_either_direction(pages, owed):
    page = pages(address(owed))
    gaps = """direction => {
        document.documentElement.dir = direction;
        const box = document.querySelector("async-image").getBoundingClientRect();
        const note = document.querySelector("[data-when=pending]").getBoundingClientRect();
        return [note.left - box.left, box.right - note.right];
    }"""

    left, right = page.evaluate(gaps, "ltr")
    assert left < right
    left, right = page.evaluate(gaps, "rtl")
    assert left > right
