"""docs/howto/htmx.rst: photos are added to a list, in a part of the page, with HTMX and Turbo."""

import re
import sys
from types import ModuleType

import pytest
from django.forms import ModelForm
from django.urls import include
from django.urls import path as url
from playwright.sync_api import expect

from django_async_forms.forms import AsyncImageFormMixin
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests.browser.test_forms import wait_for
from tests.pages import block, blocks
from tests.project.models import Photo

PAGE = "docs/howto/htmx.rst"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def photos_app(monkeypatch):
    """The form and the model that the page imports."""

    class PhotoForm(AsyncImageFormMixin, ModelForm):
        class Meta:
            model = Photo
            fields = ["title", "image"]

    for name, value in [("forms.PhotoForm", PhotoForm), ("models.Photo", Photo)]:
        module, _, attribute = f"photos.{name}".rpartition(".")
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
        setattr(sys.modules[module], attribute, value)
    monkeypatch.setitem(sys.modules, "photos", ModuleType("photos"))


@pytest.fixture
def open_page(photos_app, node_modules, broker, pages, settings, tmp_path):
    """Opens the page of photos, with the view and the templates of the documentation."""

    def open_page(view, library, change=lambda template: template):
        for template in blocks(PAGE):
            if template.language == "html+django":
                path = tmp_path / template.caption.removeprefix("photos/")
                path.parent.mkdir(parents=True, exist_ok=True)
                text = template.code.replace("{% static 'htmx.min.js' %}", library)
                path.write_text(change(text))
        settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path / "templates"]}]
        settings.ROOT_URLCONF = (
            url("photos/", block(PAGE, view).execute().photos),
            url("", include("tests.browser.site")),
        )
        return pages("/photos/", bypass_csp=True)  # The libraries bring styles of their own.

    return open_page


@pytest.fixture
def turbo(open_page):
    """The page with Turbo, changed as the documentation says."""

    def change(text):
        text = re.sub(r"\s+hx-[^>]*(?=>)", "", text)
        return text.replace('<div id="photos">', '<turbo-frame id="photos">').replace(
            "</div>\n", "</turbo-frame>\n"
        )

    library = "/node_modules/@hotwired/turbo/dist/turbo.es2017-umd.js"
    return open_page("status=422", library, change)


@pytest.fixture(params=["htmx2", "htmx4", "turbo"])
def page(request, open_page, pages):
    """The page with each library. Its window has a mark, which a new page would not have."""
    if request.param == "turbo":
        page = request.getfixturevalue("turbo")
    else:
        page = open_page("HX-Request", f"/node_modules/{request.param}/dist/htmx.min.js")
    page.evaluate("window.mark = true")
    yield page
    assert page.evaluate("window.mark")
    # The console names an answer with 422, and a draft that the form has claimed.
    assert all("Failed to load resource" in error for error in pages.errors)
    pages.errors.clear()


def add(page, title, picture):
    page.fill("[name=title]", title)
    page.set_input_files("[name=image]", picture)
    page.click("form button:text-is('Add')")


def begins(request):
    """Tell whether a request begins a draft."""
    return request.method == "POST" and request.url.endswith("/drafts/")


def test_the_list_grows_and_its_images_appear(page, picture):
    begun = []
    page.on("request", lambda request: begun.append(request) if begins(request) else None)
    for title in ("First", "Second"):
        add(page, title, picture(f"{title}.jpg"))
        page.wait_for_selector(f"li:has-text('{title}') async-image[data-state=pending]")
    assert page.locator("li").count() == 2
    assert len(begun) == 2  # No image travels twice.

    save_pending_uploads()

    page.wait_for_selector("li:has-text('First') img[src$='First.jpg']")
    page.wait_for_selector("li:has-text('Second') img[src$='Second.jpg']")


def test_a_form_that_comes_back_in_the_part_keeps_its_image(page, picture):
    page.evaluate("document.forms[0].noValidate = true")
    add(page, "", picture())
    page.wait_for_selector("[data-state=kept]")
    assert not Upload.objects.exists()

    page.fill("[name=title]", "Dune")
    page.click("form button:text-is('Add')")

    page.wait_for_selector("li:has-text('Dune') async-image[data-state=pending]")


# htmx on the button


@pytest.fixture(params=["htmx2", "htmx4"])
def button_page(request, open_page):
    """The page, whose button has the attributes that the form had."""

    def change(text):
        attributes = re.search(r"\s+hx-[^>]*(?=>)", text)
        if attributes is None:
            return text
        text = text.replace(attributes[0], "")
        return text.replace("<button>", f"<button{attributes[0]}>")

    return open_page("HX-Request", f"/node_modules/{request.param}/dist/htmx.min.js", change)


@pytest.fixture
def posts(button_page):
    """The forms that the page has posted, held back until the test continues them."""
    held = []

    def hold(route):
        if route.request.method == "POST":
            held.append(route)
        else:
            route.continue_()

    button_page.route("**/photos/", hold)
    return held


def test_a_button_that_htmx_sends_is_pressed_once(button_page, posts, picture):
    page = button_page
    button = page.locator("form button[hx-post]")
    add(page, "Dune", picture())
    wait_for(page, lambda: posts, "the form is posted")

    expect(button).to_have_text("Sending…")
    page.evaluate("document.querySelector('form button[hx-post]').click()")
    posts[0].continue_()
    page.wait_for_selector("li:has-text('Dune')")
    page.wait_for_load_state("networkidle")

    assert button.text_content() == "Add"
    assert page.locator("li").count() == len(posts) == 1


def test_a_button_that_htmx_sends_waits_for_the_image(button_page, posts, picture):
    page = button_page
    arriving = []
    page.route("**/uploads/drafts/", lambda route: arriving.append(route))
    add(page, "Dune", picture())
    wait_for(page, lambda: arriving, "the image is being sent")
    page.wait_for_selector("form button[aria-disabled=true]")
    assert not posts

    arriving[0].continue_()
    wait_for(page, lambda: posts, "the form is posted")

    assert b"image-draft" in posts[0].request.post_data_buffer
    posts[0].continue_()
    page.wait_for_selector("li:has-text('Dune') async-image[data-state=pending]")


def test_a_button_that_asks_for_something_else_leaves_the_form(button_page):
    page = button_page
    page.evaluate(
        """() => {
          const button = document.querySelector("form button[hx-post]");
          const detail = {
            requestConfig: {elt: button, verb: "get", triggeringEvent: {type: "click"}},
          };
          button.dispatchEvent(new CustomEvent("htmx:beforeRequest", {bubbles: true, detail}));
          return new Promise((done) => setTimeout(done));
        }"""
    )

    assert page.locator("form button[hx-post]").text_content() == "Add"
