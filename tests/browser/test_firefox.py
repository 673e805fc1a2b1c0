"""The image, the file input and the form in Firefox: test_images.py has them in Chromium."""

import json
import threading
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.signals import request_started

from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from tests import pictures, services
from tests.browser.firefox import FIREFOX, Firefox
from tests.project.models import Album, Photo
from tests.worker import DEADLINE, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SEND = "form [type=submit]"
CAPTION = f"(button => button.value || button.textContent)(document.querySelector('{SEND}'))"
DARK = {"layout.css.prefers-color-scheme.content-override": 0}


@contextmanager
def started(**preferences):
    if FIREFOX is None:
        services.miss("there is no firefox-esr on PATH")
    firefox = Firefox(**preferences)
    yield firefox
    firefox.quit()


@pytest.fixture(scope="module")
def light_firefox(node_modules):
    with started() as firefox:
        yield firefox


@pytest.fixture(scope="module")
def dark_firefox(node_modules):
    with started(**DARK) as firefox:
        yield firefox


@pytest.fixture
def pages_in(site, live_server):
    """Opens pages in a Firefox; at the end, no page may have broken its policy or a script."""
    used = []

    def open_page(firefox, address, **options):
        used.append(firefox)
        firefox.open(live_server.url + address, options)
        return firefox

    yield open_page
    assert [error for firefox in used for error in firefox.errors()] == []


@pytest.fixture
def pages(pages_in, light_firefox):
    def open_page(address, **options):
        return pages_in(light_firefox, address, **options)

    return open_page


@pytest.fixture
def pending(in_memory, broker):
    """A photo whose image is pending, without a worker."""
    photo = Photo.objects.create(title="Dune")
    return save_image(in_memory("dune.jpg", pictures.jpeg(320, 240)), photo)


@pytest.fixture
def slow_server():
    """Holds each POST until ``release()``; ``posts`` are those that have arrived."""

    class SlowServer:
        posts = []
        _released = threading.Event()
        release = _released.set

        def receive(self, environ, **kwargs):
            if environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"] == "/photos/add/":
                self.posts.append(environ)
                self._released.wait(DEADLINE)

    server = SlowServer()
    request_started.connect(server.receive)
    yield server
    server.release()
    request_started.disconnect(server.receive)


def address(upload):
    return f"/photos/{upload.object_pk}/"


@pytest.fixture
def add_page(pages, broker, picture):
    """The page that adds a photo, filled in."""
    page = pages("/photos/add/")
    fill_in(page, picture())
    return page


def fill_in(page, path):
    page.type("[name=title]", "Dune")
    page.choose("[name=image]", path)


# The image


def test_in_firefox_a_pending_image_turns_into_the_saved_one(pages, pending):
    page = pages(address(pending))
    page.wait("async-image[data-state=pending]", {"visible": True})
    page.wait("async-image ::-p-text(The image is being saved)", {"visible": True})

    save_pending_uploads()

    page.wait("async-image[data-state=saved] img", {"visible": True})
    image = "document.querySelector('async-image img')"
    assert page.evaluate(f"[{image}.naturalWidth, {image}.naturalHeight]") == [320, 240]
    assert page.evaluate("document.querySelector('async-image').ariaBusy") is None
    page.waitFor("document.querySelector('[role=status]').textContent === 'The image is saved'")


def test_in_firefox_an_image_that_cannot_be_saved_says_so(pages, pending):
    page = pages(address(pending))
    page.wait("async-image[data-state=pending]")

    Upload.objects.update(state="failed", error="OSError: The disk is full.")

    page.wait("async-image[data-state=failed] ::-p-text(could not be saved)", {"visible": True})


def test_in_firefox_the_page_does_not_move_when_an_image_is_updated(pages, pending):
    page = pages(address(pending))
    page.wait("async-image[data-state=pending]")
    page.evaluate("document.querySelector('main').append('What comes after it')")
    size = "JSON.stringify(document.querySelector('main').getBoundingClientRect())"
    before = page.evaluate(size)

    save_pending_uploads()
    page.wait("async-image[data-state=saved] img", {"visible": True})

    assert page.evaluate(size) == before


# The file input


def test_in_firefox_the_chosen_image_is_shown_before_it_is_sent(pages, picture):
    page = pages("/photos/add/")

    page.choose("[name=image]", picture())

    page.waitFor("document.querySelector('.async-image-preview img')?.naturalWidth === 320")


def test_in_firefox_a_file_that_is_too_large_is_refused(pages, picture, slow_server, settings):
    settings.ASYNC_FORMS = {"MAX_BYTES": 1000}
    page = pages("/photos/add/")

    fill_in(page, picture())
    page.wait(".async-image-error ::-p-text(the limit is)", {"visible": True})
    page.click(SEND)

    assert page.evaluate("document.querySelector('[name=image]').validity.customError")
    assert not page.evaluate("document.querySelector('form').matches(':valid')")
    assert slow_server.posts == []


# The form


def test_in_firefox_two_presses_send_the_form_once(add_page, slow_server):
    add_page.click(SEND)
    wait_until(lambda: slow_server.posts, "the form arrives")
    add_page.click(SEND)
    slow_server.release()

    add_page.wait("async-image")
    assert Photo.objects.count() == 1
    assert len(slow_server.posts) == 1


def test_in_firefox_the_answer_is_a_page_of_its_own(add_page):
    add_page.evaluate("window.before = true")

    add_page.click(SEND)

    add_page.wait("async-image")
    assert add_page.evaluate("window.before") is None
    assert add_page.evaluate("performance.getEntriesByType('navigation')[0].name").endswith(
        f"/photos/{Photo.objects.get().pk}/"
    )


def test_in_firefox_back_leads_to_a_form_that_can_be_sent_again(add_page, picture):
    caption = add_page.evaluate(CAPTION)
    add_page.evaluate("window.before = true")
    add_page.click(SEND)
    add_page.wait("async-image")

    add_page.back()
    add_page.wait(f"{SEND}:enabled")
    assert add_page.evaluate("window.before"), "Firefox has loaded the page anew."
    add_page.waitFor(f"{CAPTION} === {json.dumps(caption)}")
    add_page.choose("[name=image]", picture("dunes.jpg"))
    add_page.click(SEND)

    add_page.wait("async-image")
    assert Photo.objects.count() == 2


def test_in_firefox_a_form_that_is_reloaded_while_it_is_sent_can_be_sent(
    add_page, picture, slow_server
):
    caption = add_page.evaluate(CAPTION)
    add_page.click(SEND)
    wait_until(lambda: slow_server.posts, "the form arrives")

    add_page.reload()  # Firefox keeps what a script has disabled.
    add_page.wait(f"{SEND}:enabled")
    add_page.waitFor(f"{CAPTION} === {json.dumps(caption)}")
    slow_server.release()
    add_page.choose("[name=image]", picture("dunes.jpg"))
    add_page.click(SEND)

    add_page.wait("async-image")


# For everyone


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
@pytest.mark.parametrize("what", ["create", "pending"])
def test_in_firefox_axe_finds_nothing_in_the_dark(what, direction, pages_in, dark_firefox, pending):
    page = pages_in(dark_firefox, "/photos/add/" if what == "create" else address(pending))
    page.evaluate(f"document.documentElement.dir = '{direction}'")
    # Axe takes a page without a background for a white one.
    page.evaluate("document.body.style.backgroundColor = 'Canvas'")
    page.evaluate(f"void {Axe().axe_script}")

    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]

    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == []
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")


def test_several_images_in_firefox_get_forms_and_are_ordered(pages, broker, picture, settings):
    settings.ROOT_URLCONF = "tests.browser.several_site"
    album = Album.objects.create(name="Dunes")
    page = pages(f"/album/{album.pk}/")

    page.choose(".async-images-chooser input", *[picture(f"{name}.jpg") for name in "abc"])
    page.waitFor("document.querySelectorAll('[data-state=sent]').length === 3")
    page.click("#slides-2 [data-step='-1']")
    page.click("#slides-0 .async-image-remove")
    page.click("form > button")
    page.waitFor("document.querySelector('h1').textContent === 'Thanks'")

    save_pending_uploads()
    assert [slide.image.name for slide in album.slides.all()] == ["slides/c.jpg", "slides/b.jpg"]
