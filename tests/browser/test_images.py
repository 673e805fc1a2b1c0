"""What a person sees in a browser: the image on its way, the image, or that there is none."""

import io
import json
from itertools import pairwise

import pytest
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from django_async_forms import delivery
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from tests.browser import site
from tests.browser.conftest import requests_of, watch_shifts
from tests.project.models import Document, Photo, Shrunk
from tests.worker import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SEND = "[type=submit], form > button"
IMAGE = "{% async_image photos.0 'image' %}"
ALL = "{% for photo in photos %}{% async_image photo 'image' %}{% endfor %}"
#: Libraries that swap parts of a page bring styles of their own.
OF_LIBRARIES = {"Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'"}


def add(page, path, title="Dune"):
    page.fill("[name=title]", title)
    page.set_input_files("[name=image]", path)
    page.click(SEND)


def stage_image(in_memory, photo=None, name="dune.jpg", size=(320, 240)):
    photo = photo or Photo.objects.create(title="Dune")
    return save_image(in_memory(name, plain(*size)), photo)


def plain(*size, **options):
    """Return the bytes of a JPEG of one colour, which is made quickly at any size."""
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, "JPEG", **options)
    return file.getvalue()


def photo_of(shape):
    """Make a photo that has an image of this shape, or none."""
    image = ContentFile(plain(*shape), name="old.jpg") if shape else ""
    return Photo.objects.create(title="Dune", image=image)


def give_up(upload):
    Upload.objects.filter(pk=upload.pk).update(state="failed", error="OSError: no space")


@pytest.fixture
def pending(in_memory, broker):
    """A photo whose image is pending, and stays so: there is no worker."""
    return stage_image(in_memory)


def address(upload, what=""):
    return f"/photos/{upload.object_pk}/{what}"


@pytest.fixture
def write():
    """Writes a page: its template, in which ``photos`` are all of them; returns its address."""

    def write(source, name="page", headers=None, title="Photos"):
        head = "<!doctype html><meta name=viewport content='width=device-width'>"
        site.written[name] = f"{head}<title>{title}</title>{source}", headers or {}
        return f"/written/{name}/"

    yield write
    site.written.clear()


@pytest.fixture
def show(pages, write):
    """Writes a page and opens it; returns it once it asks for its pending images."""

    def show(source, headers=None, **options):
        page = pages(write(source, headers=headers), **options)
        page.wait_for_selector("async-image[data-live]")
        return page

    return show


def save_and_show(page):
    """Save all pending images, and wait until the page shows them."""
    save_pending_uploads()
    wait_for_all(page)


def wait_for_all(page):
    """Wait until all images of a page are shown."""
    page.wait_for_function(
        """() => {
            const images = [...document.querySelectorAll("async-image")];
            return images.length && images.every((image) =>
                image.dataset.state === "saved" && image.querySelector("img")?.naturalWidth);
        }"""
    )


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


@pytest.mark.parametrize("shown", ["/staged/", "old.jpg"], ids=["to its sender", "to others"])
def test_an_image_is_shown_until_the_new_one_is_saved(pages, workers, witness, picture, shown):
    workers.start()
    photo = photo_of((64, 48))
    witness.order("hold")
    page = pages(f"/photos/{photo.pk}/change/")

    add(page, picture())
    page.wait_for_selector("async-image >> text=The new image is being saved")
    if shown == "old.jpg":
        page.context.clear_cookies()
        page.reload()
    assert shown in page.get_attribute("async-image > img", "src")
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
    page.wait_for_selector("async-image[data-state=saved] img[src$='dune.jpg']")
    assert not page.query_selector("text=could not be saved")


def test_a_page_can_react_to_the_image(pages, pending, broker):
    page = pages(address(pending))
    page.evaluate(
        "addEventListener('django-async-forms:saved', "
        "event => { document.title = event.detail.url; })"
    )

    save_pending_uploads()

    page.wait_for_function("() => document.title.endsWith('dune.jpg')")


def test_an_image_that_is_cleared_meanwhile_leaves_no_box(pages, pending):
    page = pages(address(pending))
    page.wait_for_selector("async-image svg")

    Upload.objects.all().discard()

    page.wait_for_selector("async-image[data-state=saved]", state="attached")
    assert not page.query_selector("async-image svg")


# Without JavaScript


def test_without_javascript_the_page_says_to_reload_it(pages, pending):
    page = pages(address(pending), java_script_enabled=False)
    assert page.is_visible("async-image >> text=The image is being saved")
    assert page.is_visible("async-image >> text=Reload the page to see it.")

    save_pending_uploads()
    page.reload()

    page.wait_for_selector("img[src$='dune.jpg']")


def test_without_javascript_a_form_can_be_sent(pages, broker, picture):
    page = pages("/photos/add/", java_script_enabled=False)

    add(page, picture())

    page.wait_for_selector("text=The image is being saved")
    assert Upload.objects.get().name == "dune.jpg"


def test_with_javascript_nobody_has_to_reload_the_page(pages, pending):
    page = pages(address(pending))

    page.wait_for_selector("async-image[data-live] >> text=The image is being saved")

    assert not page.is_visible("text=Reload the page")


# Anywhere

#: Where an image may stand, and what it must still be in once the page is parsed.
PLACES = {
    "a link": ("<a href='/'>HERE <b>Dune</b></a>", "a"),
    "a button": ("<button type='button'>HERE</button>", "button"),
    "a cell": ("<table><tr><td>HERE</td><td>Dune</td></tr></table>", "td"),
    "a narrow cell": ("<table><tr><td width='1%'>HERE</td><td>Dune</td></tr></table>", "td"),
    "a figure": ("<figure>HERE<figcaption>Dune</figcaption></figure>", "figure"),
    "a heading": ("<h2>HERE Dune</h2>", "h2"),
    "a paragraph": ("<p>This is HERE a dune.</p>", "p"),
    "a list": ("<ul><li>HERE</li></ul>", "li"),
    "a label": ("<label>HERE <input type='checkbox'></label>", "label"),
    "a flex container": ("<div class='flex'>HERE<p>Dune</p></div>", "div"),
    "a grid": ("<div class='grid'>HERE<p>Dune</p></div>", "div"),
}
LAYOUTS = "<link rel='stylesheet' href='/written/layouts/'>"


@pytest.fixture
def layouts(write):
    site.written["layouts"] = (
        ".flex { display: flex; } .grid { display: grid; grid-template-columns: auto 1fr; }"
        " table { width: 100%; } .thumbnail { width: 60px; }"
        " .narrow { width: 200px; } .tall { height: 3000px; }",
        {"Content-Type": "text/css"},
    )


@pytest.mark.parametrize("place", PLACES)
def test_an_image_appears_in(place, pages, write, layouts, pending):
    source, around = PLACES[place]
    page = pages(write(LAYOUTS + source.replace("HERE", IMAGE)))
    page.wait_for_selector(f"{around} async-image[data-live]")
    before = page.locator("async-image").bounding_box()
    assert before["width"] >= 32

    save_and_show(page)

    assert page.locator(f"{around} async-image > img").bounding_box()["width"] >= 32
    assert page.locator("async-image").bounding_box() == before
    page.reload()
    assert page.locator(f"{around} async-image").bounding_box() == before
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")


def in_roots(page, expression):
    """Evaluate an expression for ``image``, the element in each shadow root."""
    return page.evaluate(
        f"""[...document.querySelectorAll("section")].map((section) => {{
            const image = section.shadowRoot.querySelector("async-image");
            return {expression};
        }})"""
    )


def test_images_in_shadow_roots_of_the_markup_appear_in_the_style_of_the_others(show, pending):
    root = f"<section><template shadowrootmode='open'>{IMAGE}</template></section>"
    page = show(root * 2 + IMAGE)
    page.wait_for_function(
        """() => [...document.querySelectorAll("section")].every((section) => getComputedStyle(
            section.shadowRoot.querySelector("async-image")).display === "inline-block")"""
    )

    save_and_show(page)

    page.wait_for_function(
        """() => [...document.querySelectorAll("section")].every((section) =>
            section.shadowRoot.querySelector("async-image[data-state=saved] img"))"""
    )


def test_an_image_that_a_script_puts_into_a_shadow_root_keeps_its_style(show, pending):
    page = show(f"<section></section>{IMAGE}{IMAGE}")

    page.evaluate(
        """() => {
            const root = document.querySelector("section").attachShadow({ mode: "open" });
            root.append([...document.querySelectorAll("async-image")].at(-1));
        }"""
    )
    wait_until(
        lambda: in_roots(page, "getComputedStyle(image).display") == ["inline-block"],
        "the style sheet is in the root",
    )
    save_and_show(page)

    wait_until(lambda: in_roots(page, "image.dataset.state") == ["saved"], "it appears")


@pytest.fixture(params=["htmx2", "htmx4"])
def htmx(request, node_modules):
    """The tag of each version of htmx."""
    return f"<script src='/node_modules/{request.param}/dist/htmx.min.js'></script>"


def test_an_image_that_htmx_swaps_in_appears(htmx, pages, write, pending):
    write(f"<p>{IMAGE}</p>", "part", OF_LIBRARIES)
    button = "<button hx-get='/written/part/' hx-target='#part'>More</button><div id='part'></div>"
    page = pages(write(f"{htmx}{button}", headers=OF_LIBRARIES))

    page.click("button")
    page.wait_for_selector("#part async-image[data-live] >> text=The image is being saved")

    save_and_show(page)


def test_htmx_can_take_the_image_away_that_brought_the_style(htmx, show, write, in_memory, pending):
    stage_image(in_memory)
    write("", "empty", OF_LIBRARIES)
    button = "<button hx-get='/written/empty/' hx-target='#first' hx-swap='innerHTML'>Less</button>"
    page = show(f"{htmx}{button}<div id='first'>{IMAGE}</div>{ALL}", OF_LIBRARIES)

    page.click("button")
    page.wait_for_function("() => !document.querySelector('#first async-image')")

    style = "getComputedStyle(document.querySelector('async-image')).display"
    assert page.evaluate(style) == "inline-block"


@pytest.fixture
def turbo(node_modules):
    """The tags of Turbo, which morphs a page that is refreshed."""
    script = "<script src='/node_modules/@hotwired/turbo/dist/turbo.es2017-umd.js'></script>"
    return f"<meta name='turbo-refresh-method' content='morph'>{script}"


def test_an_image_in_a_turbo_frame_appears(turbo, pages, write, pending):
    write(f"<turbo-frame id='part'>{IMAGE}</turbo-frame>", "part", OF_LIBRARIES)
    frame = "<turbo-frame id='part'><a href='/written/part/'>More</a></turbo-frame>"
    page = pages(write(f"{turbo}{frame}", headers=OF_LIBRARIES))

    page.click("a")
    page.wait_for_selector("turbo-frame async-image[data-live]")

    save_and_show(page)


def test_an_image_appears_in_a_page_that_turbo_has_kept(turbo, show, write, pending):
    write("<h1>Another page</h1>", "other", OF_LIBRARIES)
    source = f"{turbo}<h1>Photos</h1>{IMAGE}<a href='/written/other/'>Go</a>"
    page = show(source, OF_LIBRARIES)
    page.click("a")
    page.wait_for_selector("text=Another page")
    save_pending_uploads()

    page.go_back()
    page.wait_for_selector("h1 >> text=Photos")

    wait_for_all(page)


def test_an_image_whose_page_turbo_morphs_appears(turbo, show, pending):
    page = show(f"{turbo}<h1>Photos</h1>{IMAGE}", OF_LIBRARIES)
    page.evaluate("window.element = document.querySelector('async-image')")

    page.evaluate("Turbo.session.refresh(location.href)")
    page.wait_for_load_state("networkidle")
    page.wait_for_selector("async-image[data-live]")

    save_and_show(page)
    assert page.evaluate("element === document.querySelector('async-image')")


def test_a_saved_image_that_turbo_morphs_into_a_pending_one_appears(
    turbo, pages, write, in_memory, broker
):
    photo = photo_of((64, 48))
    page = pages(write(f"{turbo}<h1>Photos</h1>{IMAGE}", headers=OF_LIBRARIES))
    page.wait_for_selector("async-image[data-state=saved]")
    stage_image(in_memory, photo, "new.jpg")

    page.evaluate("Turbo.session.refresh(location.href)")
    page.wait_for_selector("async-image[data-live] >> text=The new image is being saved")
    save_pending_uploads()

    page.wait_for_selector("async-image[data-state=saved] img[src$='new.jpg']")


@pytest.mark.parametrize(
    ("moved", "count"), [("image", 1), ("image.cloneNode(true)", 2)], ids=["moved", "cloned"]
)
def test_an_image_that_a_script_moves_or_clones_appears(moved, count, show, pending):
    page = show(f"<p>{IMAGE}</p><div></div>")

    page.evaluate(
        f"""() => {{
            const image = document.querySelector("async-image");
            document.querySelector("div").append({moved});
        }}"""
    )
    save_and_show(page)

    assert page.locator("div async-image img").count() == 1
    assert page.locator("async-image img").count() == count


def test_images_that_are_added_later_appear(show, pending, in_memory):
    page = show(ALL)
    save_and_show(page)
    stage_image(in_memory)

    page.evaluate(
        """async () => {
            const text = await (await fetch(location.href)).text();
            const images = new DOMParser().parseFromString(text, "text/html");
            document.body.append([...images.querySelectorAll("async-image")].at(-1));
        }"""
    )
    page.wait_for_selector("async-image[data-live]")
    save_and_show(page)
    assert page.locator("async-image").count() == 2


# One stops no other


@pytest.fixture
def three(in_memory, broker):
    return [stage_image(in_memory) for _ in range(3)]


@pytest.mark.parametrize(
    "change",
    [
        "const link = document.createElement('a'); box.replaceWith(link); link.append(box)",
        "box.remove()",
        "box.replaceWith(new Text('Gone'))",
        "image.replaceChildren()",
        "image.querySelector('template').remove()",
        "image.settle = () => { throw Error('Broken') }",
        "Object.defineProperty(image, 'isConnected', { get() { throw Error('Broken') } })",
    ],
    ids=["wrapped", "removed", "replaced", "emptied", "no template", "broken", "broken inside"],
)
def test_an_image_that_another_script_has_changed_does_not_stop_the_others(change, show, three):
    page = show(ALL)
    page.evaluate(
        f"""() => {{
            addEventListener("unhandledrejection", (event) => event.preventDefault());
            const image = document.querySelector("async-image");
            const box = image.querySelector("svg");
            {change};
        }}"""
    )

    save_pending_uploads()

    page.wait_for_function(
        "() => document.querySelectorAll('async-image[data-state=saved] img').length >= 2"
    )


def test_a_wrapped_image_stays_in_what_is_around_it(show, pending):
    page = show(IMAGE)
    page.evaluate(
        """() => {
            const box = document.querySelector("async-image svg");
            const link = document.createElement("a");
            box.replaceWith(link);
            link.append(box);
        }"""
    )

    save_pending_uploads()

    page.wait_for_selector("async-image > a > img")


@pytest.fixture
def override(settings, tmp_path):
    """Overrides a template of the package, as a project does."""

    def write_template(name, text):
        (tmp_path / "django_async_forms").mkdir()
        (tmp_path / "django_async_forms" / name).write_text(text)
        templates = settings.TEMPLATES[0]
        settings.TEMPLATES = [{**templates, "DIRS": [tmp_path, *templates["DIRS"]]}]

    return write_template


def test_in_a_modal_dialog_an_image_is_announced_where_it_is_heard(pages, write, pending):
    page = pages(write(f"<dialog>{IMAGE}</dialog>"))
    page.evaluate("document.querySelector('dialog').showModal()")
    page.wait_for_selector("async-image[data-live]")

    save_and_show(page)

    assert page.text_content("dialog [role=status]") == "The image is saved"


def test_an_image_whose_template_is_the_projects_own_appears(show, pending, override):
    override(
        "image.html",
        "{% include 'django_async_forms/assets.html' %}"
        '<async-image data-state="{{ state }}" data-status-url="{{ status_url }}" '
        'data-token="{{ token }}"><b>Wait</b></async-image>',
    )
    page = show(ALL)

    save_and_show(page)


def test_an_image_in_a_picture_of_the_projects_appears(show, in_memory, broker, override):
    stage_image(in_memory, photo_of((64, 48)), "new.jpg")
    override(
        "img.html",
        '<picture><source srcset="{{ src }}"><img src="{{ src }}" alt="{{ alt }}"></picture>',
    )
    page = show(IMAGE)

    save_and_show(page)

    assert page.evaluate("document.querySelector('picture img').currentSrc").endswith("new.jpg")


def test_an_image_that_the_browser_cannot_show_does_not_stop_the_others(pages, write, three):
    page = pages(write(ALL))
    page.route("**/dune.jpg", lambda route: route.fulfill(body="This is text."))

    save_pending_uploads()

    page.wait_for_function(
        "() => document.querySelectorAll('async-image[data-state=saved] img').length === 3"
    )


def test_an_image_that_loads_slowly_does_not_stop_the_others(pages, write, three):
    page = pages(write(ALL))
    held = []
    page.route("**/dune.jpg", lambda route: held.append(route))

    save_pending_uploads()

    page.wait_for_function(
        "() => document.querySelectorAll('async-image[data-state=saved]').length === 2"
    )
    assert page.locator("async-image[data-state=pending] >> text=The image is being saved").count()
    for route in held:
        route.continue_()
    wait_for_all(page)


def test_an_image_without_a_url_leaves_no_box_and_does_not_stop_the_others(show, three):
    page = show(ALL)

    def without_url(route):
        answers = route.fetch().json()
        token = next(iter(answers["images"]))
        if answers["images"][token]["state"] == "saved":
            answers["images"][token]["url"] = None
        route.fulfill(json=answers)

    page.route("**/uploads/status/", without_url)

    save_pending_uploads()

    page.wait_for_function(
        "() => document.querySelectorAll('async-image[data-state=saved]').length === 3"
    )
    assert page.locator("async-image img").count() == 2
    assert page.locator("async-image svg").count() == 0


# How it asks


def test_a_hundred_images_are_one_request_at_a_time(pages, in_memory, broker):
    for _ in range(100):
        stage_image(in_memory)
    page = pages("/photos/")
    with requests_of(page, "/uploads/status/") as requests:
        wait_until(lambda: page.wait_for_timeout(10) or len(requests) >= 2, "it asks again")
        assert all(len(json.loads(request.post_data)["tokens"]) == 100 for request in requests)
        save_pending_uploads()
        page.wait_for_function("() => !document.querySelector('async-image[data-state=pending]')")

    assert page.locator("async-image[data-state=saved] img").count() == 100
    assert len(requests) < 10


def test_a_tab_that_nobody_looks_at_asks_nothing(pages, pending):
    page = pages(address(pending))
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


def test_it_asks_less_and_less_often(pages, pending):
    page = pages(address(pending))
    with requests_of(page, "/uploads/status/") as requests:
        wait_until(lambda: page.wait_for_timeout(10) or len(requests) >= 4, "it asks four times")
    starts = page.evaluate(
        "performance.getEntriesByType('resource').filter("
        "entry => entry.name.includes('/uploads/status/')).map(entry => entry.startTime)"
    )
    pauses = [later - earlier for earlier, later in pairwise(starts)]

    assert pauses == sorted(pauses)


def test_once_its_token_has_expired_it_asks_no_more(pages, pending, settings):
    page = pages(address(pending))
    settings.ASYNC_FORMS = {"STATUS_MAX_AGE": 0.001}

    page.wait_for_selector("async-image >> text=Reload the page to see it.")
    with requests_of(page, "/uploads/status/") as requests:
        page.evaluate("new Promise(done => setTimeout(done, 1500))")

    assert requests == []


def test_once_its_token_has_expired_the_page_need_not_be_the_last_word(pages, pending, settings):
    page = pages(address(pending))
    fresh = page.get_attribute("async-image", "data-token")
    settings.ASYNC_FORMS = {"STATUS_MAX_AGE": 0.001}
    page.wait_for_selector("async-image:not([data-live])")
    settings.ASYNC_FORMS = {}

    page.evaluate("token => { document.querySelector('async-image').dataset.token = token }", fresh)
    save_and_show(page)


def test_more_images_than_one_request_takes_all_appear(show, in_memory, broker):
    first = stage_image(in_memory, photo_of((8, 6)))
    name = Photo.objects.get().image.name
    photos = Photo.objects.bulk_create(Photo(title="Dune", image=name) for _ in range(501))
    Upload.objects.bulk_create(
        Upload(
            model=first.model, object_pk=photo.pk, field_name="image", name=name, file=first.file
        )
        for photo in photos
    )
    page = show(ALL)
    with requests_of(page, "/uploads/status/") as requests:
        wait_until(lambda: page.wait_for_timeout(10) or len(requests) >= 2, "it asks for all")

    sizes = [len(json.loads(request.post_data)["tokens"]) for request in requests[:2]]
    assert sorted(sizes) == [2, 500]
    Upload.objects.all().delete()
    wait_for_all(page)


def test_images_of_several_status_urls_are_asked_for_by_url(pages, write, pending, in_memory):
    stage_image(in_memory)
    page = pages(write(ALL))
    page.evaluate("document.querySelector('async-image').dataset.statusUrl = '/others/status/'")
    with requests_of(page, "/others/status/") as others, requests_of(page, "/uploads/") as usual:
        wait_until(lambda: page.wait_for_timeout(10) or (others and usual), "it asks both")
        save_pending_uploads()
        wait_for_all(page)

    assert len(json.loads(others[-1].post_data)["tokens"]) == 1


def test_a_status_url_that_does_not_answer_does_not_stop_another(pages, write, pending, in_memory):
    stage_image(in_memory)
    page = pages(write(ALL))
    page.route("**/others/status/", lambda route: None)
    page.evaluate("document.querySelector('async-image').dataset.statusUrl = '/others/status/'")
    with requests_of(page, "/others/status/") as others:
        wait_until(lambda: page.wait_for_timeout(10) or others, "it asks the one that is silent")

    save_pending_uploads()

    page.wait_for_selector("async-image[data-state=saved] img")
    assert page.locator("async-image[data-state=pending]").count() == 1


ANSWERS = {
    "an error page": {"status": 500, "body": "<h1>Error</h1>"},
    "a page that is not there": {"status": 404, "body": "<h1>Not found</h1>"},
    "a refusal": {"status": 403, "json": {"images": {}}},
    "too many": {"status": 429, "body": ""},
    "a login page": {"status": 200, "body": "<form>Log in</form>"},
    "nothing": {"status": 200, "body": ""},
    "null": {"json": None},
    "a number": {"json": 5},
    "a list": {"json": []},
    "another shape": {"json": {"photos": {}}},
    "null for images": {"json": {"images": None}},
    "a list of images": {"json": {"images": []}},
    "a text of images": {"json": {"images": "saved"}},
}


def survive(page, answer):
    """Have the page answered so three times; then the server is back."""
    given = []

    def fulfil(route):
        given.append(route)
        route.fulfill(**answer) if len(given) <= 3 else route.continue_()

    page.route("**/uploads/status/", fulfil)
    wait_until(lambda: page.wait_for_timeout(10) or len(given) >= 3, "it asks again")
    save_and_show(page)


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_of_another_kind_is_survived(answer, pages, write, pending):
    survive(pages(write(IMAGE)), ANSWERS[answer])
    pages.errors.clear()


@pytest.mark.parametrize(
    "answer",
    [
        None,
        5,
        "saved",
        [],
        {},
        {"state": None},
        {"state": "lost"},
        {"state": "saved"},
        {"state": "saved", "url": 5},
        {"state": "saved", "url": {}},
    ],
    ids=json.dumps,
)
def test_an_answer_for_an_image_that_is_not_understood_is_survived(answer, pages, write, pending):
    page = pages(write(IMAGE))
    token = page.get_attribute("async-image", "data-token")
    survive(page, {"json": {"images": {token: answer}}})


def test_a_server_that_is_away_is_asked_again(show, pages, pending):
    page = show(IMAGE)
    with requests_of(page, "/uploads/status/") as requests:
        page.context.set_offline(True)
        wait_until(lambda: page.wait_for_timeout(10) or len(requests) >= 2, "it asks again")
    save_pending_uploads()

    page.context.set_offline(False)

    wait_for_all(page)
    pages.errors.clear()


def test_a_server_that_is_silent_is_asked_again(pages, write, pending):
    page = pages(write(IMAGE))
    silent = []
    page.route("**/uploads/status/", lambda route: silent.append(route))
    wait_until(lambda: page.wait_for_timeout(10) or silent, "it asks")
    page.unroute("**/uploads/status/")

    save_and_show(page)


def test_an_answer_for_a_token_that_the_element_no_longer_has_is_ignored(pages, write, pending):
    page = pages(write(IMAGE))
    held = []
    page.route("**/uploads/status/", lambda route: held.append(route))
    wait_until(lambda: page.wait_for_timeout(10) or held, "it asks")
    token = page.get_attribute("async-image", "data-token")

    page.evaluate("document.querySelector('async-image').dataset.token = 'another'")
    page.evaluate("document.querySelector('async-image').dataset.statusUrl = '/away/'")
    held[0].fulfill(json={"images": {token: {"state": "failed"}}})
    page.evaluate("fetch('/written/page/').then(response => response.text())")

    assert page.get_attribute("async-image", "data-state") == "pending"


@pytest.mark.parametrize("event", ["pageshow", "online"])
def test_a_page_that_comes_back_does_not_wait_for_the_end_of_its_pause(event, pages, pending):
    asked_at = """() => performance.getEntriesByType("resource")
        .filter((entry) => entry.name.includes("/uploads/status/"))
        .map((entry) => entry.startTime)"""
    page = pages(address(pending))
    wait_until(lambda: len(page.evaluate(asked_at)) >= 5, "it has asked five times")

    came_back = page.evaluate(
        "event => { dispatchEvent(new Event(event)); return performance.now(); }", event
    )
    asked_again = wait_until(
        lambda: [start for start in page.evaluate(asked_at) if start > came_back], "it asks again"
    )

    # Pauses grow, so that the next would have been longer than the last.
    before = [start for start in page.evaluate(asked_at) if start < came_back]
    assert asked_again[0] - came_back < before[-1] - before[-2]


def test_a_page_that_the_back_button_restores_asks_immediately(show, pages, write, pending):
    write("<h1>Another page</h1>", "other")
    page = show(IMAGE)
    page.goto("/written/other/")
    save_pending_uploads()

    page.go_back()

    wait_for_all(page)
    pages.errors.clear()  # Leaving the page may cut a request, which the console then tells.


# Its size


OLD_SHAPES = {"none": None, "tall": (90, 400), "wide": (900, 100)}
NEW_SHAPES = {"small": (320, 240), "large": (2400, 1600), "3 to 1": (1500, 500)}


def boxes_of(page):
    """Return the boxes of all elements of a page, and those of what is shown in them."""
    return page.evaluate(
        """() => [...document.querySelectorAll("async-image")].map((image) =>
            [image, image.querySelector("img, svg")].map((element) => {
                const { x, y, width, height } = element.getBoundingClientRect();
                return [x, y + scrollY, width, height].map((side) => side.toFixed(1)).join(" ");
            }))"""
    )


def check_that_nothing_moves(page):
    """Save all pending images: the page must show each in its place, and move nothing."""
    before = boxes_of(page)
    watch_shifts(page)

    save_and_show(page)

    assert boxes_of(page) == before
    assert page.evaluate("shifts") == []


def size_of(page):
    box = page.locator("async-image").first.bounding_box()
    return box["width"], box["height"]


@pytest.mark.parametrize("viewport", [1280, 390])
@pytest.mark.parametrize("options", ["", "width=600", "height=200", "width=300 height=300"])
def test_it_has_one_size_in_every_state(options, viewport, show, in_memory, broker):
    for shape in OLD_SHAPES.values():
        for size in NEW_SHAPES.values():
            stage_image(in_memory, photo_of(shape), size=size)
    tag = f"{{% async_image photo 'image' {options} %}}"
    source = f"{{% for photo in photos %}}<p>{tag}</p>{{% endfor %}}<p>What comes after it</p>"
    page = show(source, viewport={"width": viewport, "height": 900})
    before = boxes_of(page)

    check_that_nothing_moves(page)

    page.reload()
    wait_for_all(page)
    assert boxes_of(page) == before
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")


def test_a_thumbnail_in_a_crowded_table_keeps_its_width(show, layouts, pending):
    thumbnail = "{% async_image photos.0 'image' width=48 height=32 %}"
    text = "It is a dune. " * 50
    source = f"{LAYOUTS}<table><tr><td>{thumbnail}</td><td>{text}</td></tr></table>"
    page = show(source, viewport={"width": 390, "height": 800})
    assert size_of(page) == (48, 32)

    check_that_nothing_moves(page)


@pytest.mark.parametrize(("turn", "size"), [(1, (320, 240)), (6, (240, 320))])
def test_its_default_size_is_its_natural_one_as_its_exif_data_turns_it(
    turn, size, show, in_memory, broker
):
    exif = Image.Exif()
    exif[0x0112] = turn
    data = plain(320, 240, exif=exif)
    save_image(in_memory("turned.jpg", data), Photo.objects.create(title="Dune"))
    page = show(IMAGE)
    assert size_of(page) == size

    check_that_nothing_moves(page)

    page.reload()
    assert size_of(page) == size


@pytest.mark.parametrize("old", ["none", "tall"])
def test_an_image_of_unknown_dimensions_keeps_the_place(old, show, in_memory, broker):
    stage_image(in_memory, photo_of(OLD_SHAPES[old]))
    Upload.objects.update(width=None, height=None)

    check_that_nothing_moves(show(f"<p>{IMAGE}</p><p>What comes after it</p>"))


def test_an_image_that_the_worker_made_smaller_keeps_the_place(show, in_memory, broker):
    save_image(in_memory("dune.jpg", plain(320, 200)), Shrunk.objects.create(), "image")
    page = show("<p>{% async_image shrunk.0 'image' alt='Dune' %}</p><p>What comes after it</p>")

    check_that_nothing_moves(page)

    assert page.evaluate("document.querySelector('img').naturalWidth") == 64


def test_what_a_page_says_of_images_wins(show, pending):
    site.written["style"] = (
        "img { border: 3px solid; } async-image { display: block; }"
        " .async-image-box { opacity: .5; } .async-image-note { padding: 20px; }"
        " p > async-image > * { width: 100%; height: 90px; }",
        {"Content-Type": "text/css"},
    )
    style = "<link rel='stylesheet' href='/written/style/'>"
    page = show(f"{style}<p>{IMAGE}</p>")
    look = """([selector, name]) => getComputedStyle(document.querySelector(selector))[name]"""
    assert page.evaluate(look, ["async-image", "display"]) == "block"
    assert page.evaluate(look, [".async-image-box", "opacity"]) == "0.5"
    assert page.evaluate(look, [".async-image-note", "paddingTop"]) == "20px"

    save_and_show(page)

    assert page.evaluate(look, ["img", "borderTopWidth"]) == "3px"
    assert page.evaluate(look, ["img", "height"]) == "90px"


# A file that is not an image


FILES = "{% for document in documents %}<p>{% async_file document 'file' %}</p>{% endfor %}"


def stage_file(document, name="report.txt"):
    file = SimpleUploadedFile(name, b"The report", "text/plain")
    return save_image(file, document, "file")


def test_a_pending_file_turns_into_a_link(pages, write, broker):
    document = Document.objects.create(title="Report")
    stage_file(document)
    page = pages(write(FILES))
    page.wait_for_selector("async-file[data-live] >> text=The file is being saved")
    assert page.is_visible("text=report.txt")

    save_pending_uploads()

    link = page.wait_for_selector("async-file[data-state=saved] > a")
    document.refresh_from_db()
    assert link.get_attribute("href") == document.file.url
    assert page.text_content("[role=status]") == "The file is saved"
    live = page.inner_text("p")
    page.reload()
    assert page.inner_text("p").strip() == live.strip() == "report.txt"


def test_the_link_to_the_old_file_stays_until_the_new_one_is_there(pages, write, broker):
    document = Document.objects.create(title="Report")
    document.file.save("old.txt", ContentFile(b"Old"))
    stage_file(document, "new.txt")
    page = pages(write(FILES))
    page.wait_for_selector("async-file[data-live] >> text=The new file is being saved")
    assert page.inner_text("async-file a") == "old.txt"

    save_pending_uploads()

    page.wait_for_selector("async-file[data-state=saved] a[href$='new.txt'] >> text=new.txt")


def test_a_file_that_could_not_be_saved_says_so(pages, write, broker):
    upload = stage_file(Document.objects.create(title="Report"))
    page = pages(write(FILES))
    page.wait_for_selector("async-file[data-live]")

    give_up(upload)

    page.wait_for_selector("async-file[data-state=failed] >> text=The file could not be saved")
    assert page.is_visible("text=report.txt")


# It takes longer


def test_a_page_says_that_an_image_takes_longer_than_usual(pages, pending, settings):
    settings.ASYNC_FORMS = {"SLOW_AFTER": 4}
    page = pages(address(pending))
    page.wait_for_selector("async-image >> text=The image is being saved")
    assert not page.is_visible("text=This is taking longer than usual")

    page.wait_for_selector("async-image >> text=This is taking longer than usual")
    assert not page.is_visible("text=The image is being saved")
    page.reload()
    page.wait_for_selector("async-image >> text=This is taking longer than usual")
    save_and_show(page)
    assert not page.is_visible("text=This is taking longer than usual")


# A policy


STRICT = (
    "default-src 'none'; script-src 'nonce-abc'; style-src 'nonce-abc'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


def test_images_appear_under_a_strict_policy_with_nonces(show, pending, in_memory):
    give_up(stage_image(in_memory))
    stage_file(Document.objects.create(title="Report"))
    root = f"<section><template shadowrootmode='open'>{IMAGE}</template></section>"
    watch = (
        "<script nonce='abc'>window.violations = [];"
        "addEventListener('securitypolicyviolation', event => violations.push(event));</script>"
    )
    page = show(f"{watch}{ALL}{FILES}{root}", {"Content-Security-Policy": STRICT})
    assert in_roots(page, "getComputedStyle(image).display") == ["inline-block"]

    save_pending_uploads()

    page.wait_for_selector("async-image[data-state=saved] img")
    page.wait_for_selector("async-file[data-state=saved] a")
    assert page.evaluate("violations.length") == 0


# Admin


def test_the_admin_shows_what_is_being_saved(pages, pending, in_memory, logged_in, live_server):
    give_up(stage_image(in_memory))
    page = pages("/photos/")
    page.context.add_cookies([{**logged_in, "url": live_server.url}])

    page.goto("/admin/project/photo/")
    cells = page.locator("td.field-async_uploads").all_text_contents()
    assert sorted(cells) == ["Image: failed", "Image: pending"]

    page.goto(f"/admin/project/photo/{pending.object_pk}/change/")
    page.wait_for_selector("async-image >> text=The image is being saved")
    save_pending_uploads()
    page.wait_for_selector("async-image[data-state=saved] img")


# For everyone


def test_nothing_moves_for_whoever_wants_that(pages, pending):
    motion = """[".async-image-box", ".async-image-icon"].map(
        (name) => getComputedStyle(document.querySelector(name)).animationName)"""

    still = pages(address(pending), reduced_motion="reduce").evaluate(motion)
    moving = pages(address(pending), reduced_motion="no-preference").evaluate(motion)

    assert still == ["none", "none"]
    assert moving == ["async-image-shimmer", "async-image-turn"]


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_the_note_is_in_the_middle_and_its_icon_before_the_words(direction, pages, pending):
    page = pages(address(pending))
    page.evaluate("direction => { document.documentElement.dir = direction; }", direction)
    box, note, icon = (
        page.locator(name).first.bounding_box()
        for name in ("async-image", "[data-when=pending]", ".async-image-icon")
    )

    def middle(rectangle):
        return rectangle["x"] + rectangle["width"] / 2, rectangle["y"] + rectangle["height"] / 2

    assert middle(note) == pytest.approx(middle(box), abs=1)
    assert (middle(icon)[0] < middle(note)[0]) == (direction == "ltr")


@pytest.mark.parametrize("scrolled", [0, 600, 1500, 2900])
def test_the_note_is_in_what_is_seen_of_a_tall_image(scrolled, show, in_memory, broker):
    stage_image(in_memory, size=(400, 3000))
    page = show(f"<h1>Photos</h1>{IMAGE}", viewport={"width": 390, "height": 700})

    page.evaluate("y => scrollTo(0, y)", scrolled)
    note = page.locator("[data-when=pending]").bounding_box()

    image = page.locator("async-image").bounding_box()
    top, bottom = max(0, image["y"]), min(700, image["y"] + image["height"])
    assert top <= note["y"]
    assert note["y"] + note["height"] <= bottom
    if bottom - top > 600:
        middle = note["y"] + note["height"] / 2
        assert middle == pytest.approx((top + bottom) / 2, abs=60)


def test_a_thumbnail_has_the_icon_and_screen_readers_the_words(show, layouts, pending):
    page = show(f"{LAYOUTS}<div class='thumbnail'>{IMAGE}</div>")

    box = page.locator("async-image").bounding_box()
    note = page.locator("[data-when=pending]").bounding_box()
    assert box["width"] == 60
    assert box["y"] <= note["y"]
    assert note["y"] + note["height"] <= box["y"] + box["height"]
    assert page.locator("[data-when=pending] .async-image-text").bounding_box()["width"] == 1
    assert "The image is being saved" in page.locator("async-image").aria_snapshot()


@pytest.mark.parametrize("state", ["pending", "slow", "failed"])
def test_each_state_has_a_shape_of_its_own_and_words(state, pages, pending, settings):
    if state == "slow":
        settings.ASYNC_FORMS = {"SLOW_AFTER": 0.001}
    if state == "failed":
        give_up(pending)
    page = pages(address(pending), forced_colors="active")

    note = page.locator(f"[data-when={state}]")
    assert note.is_visible()
    assert note.inner_text().strip()
    assert note.locator(".async-image-icon").bounding_box()["width"] > 10


def test_a_wide_image_does_not_widen_a_phones_page(show, in_memory, broker):
    stage_image(in_memory, size=(1500, 500))
    page = show(IMAGE, viewport={"width": 390, "height": 800})

    assert page.evaluate("document.scrollingElement.scrollWidth") == 390
