"""What must hold on every page: it fits, axe and the policy find nothing, and nothing jumps."""

from types import SimpleNamespace

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.files.base import ContentFile
from django.utils import timezone

from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from tests import pictures
from tests.project.models import Album, Document, Measured, Page, Photo
from tests.worker import DEADLINE, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
#: The middleware of the live server.
POLICY = "tests.browser.everywhere.strict_policy"

#: Of each page, its address; the names are of what ``shown`` makes.
PAGES = {
    "create": "/photos/add/",
    "update": "/photos/{replacing.object_pk}/change/",
    "states": "/states/",
    "list": "/photos/",
    "files": "/files/",
    "own create": "/own/",
    "own update": "/own/{measured.pk}/",
    "several": "/several/{album.pk}/",
}
ADMIN = {
    "admin list": "/admin/project/photo/",
    "admin add": "/admin/project/photo/add/",
    "admin change": "/admin/project/photo/{replacing.object_pk}/change/",
    "admin inline": "/admin/project/album/{album.pk}/change/",
    "outbox list": "/admin/django_async_forms/upload/",
    "outbox upload": "/admin/django_async_forms/upload/{failed.pk}/change/",
    "outbox pending": "/admin/django_async_forms/upload/{slow.pk}/change/",
    "outbox discard": "/admin/django_async_forms/upload/{failed.pk}/delete/",
}
#: Rules that Django's own markup breaks, in a table of inlines and in the search of a list.
BROKEN_BY_DJANGO = {
    "admin inline": ["empty-table-header", "label"],
    "outbox list": ["label-title-only"],
}
#: Pages that another script swaps into one that is there already.
SWAPPED = {
    "htmx 2": "/swapped/htmx2/dist/htmx.min.js",
    "htmx 4": "/swapped/htmx4/dist/htmx.min.js",
    "turbo": "/swapped/@hotwired/turbo/dist/turbo.es2017-umd.js",
}
#: A desk, the same at 200 % zoom, and a phone.
WIDTHS = [1280, 640, 390]

WATCH = """
    window.violations = [];
    window.shifts = [];
    addEventListener("securitypolicyviolation", ({ violatedDirective, sourceFile, blockedURI }) =>
        violations.push(`${violatedDirective} blocked ${blockedURI} in ${sourceFile}`));
    new PerformanceObserver((list) => shifts.push(...list.getEntries().map((shift) => ({
        at: shift.startTime,
        value: shift.value,
        moved: shift.sources.map(({ node }) => node?.outerHTML ?? node?.data),
    })))).observe({ type: "layout-shift", buffered: true });
    window.focused = new Set();
    addEventListener("focusin", ({ target }) => {
        const { outlineStyle, boxShadow } = getComputedStyle(target);
        if (outlineStyle !== "none" || boxShadow !== "none") focused.add(target);
    });
"""
TRANSITIONS_END = """() => Promise.all(document.getAnimations()
    .filter((animation) => animation instanceof CSSTransition).map(({ finished }) => finished))"""
#: What the Tab key should reach, and what of it has not had a focus that one can see.
CONTROLS = """
    [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea")]
    .filter((control) => control.checkVisibility() && !control.disabled)"""
NOT_REACHED = f"""() => {CONTROLS}.filter((control) => !focused.has(control))
    .map((control) => control.outerHTML)"""
TOO_WIDE = """() => {
    if (document.scrollingElement.scrollWidth <= innerWidth) return [];
    return [...document.querySelectorAll("body *")].filter((element) => {
        const { left, right } = element.getBoundingClientRect();
        return right > innerWidth + 1 || left < -1;
    }).map((element) => element.outerHTML.slice(0, 200));
}"""


@pytest.fixture
def shown(in_memory, broker):
    """Photos in each state, with images that are wider than a phone."""

    def photo(**values):
        return Photo.objects.create(title="A dune in the afternoon", **values)

    def upload(instance, field_name=None):
        data = pictures.jpeg(1200, 400, seed=1)
        return save_image(in_memory("a_dune_in_the_afternoon.jpg", data), instance, field_name)

    def image():
        return ContentFile(pictures.jpeg(1200, 400, seed=2), name="dune.jpg")

    photo(image=image())
    upload(photo())
    replacing = upload(photo(image=image()))
    slow = upload(photo())
    Upload.objects.filter(pk=slow.pk).update(created_at=timezone.now() - timezone.timedelta(days=1))
    failed = upload(photo())
    Upload.objects.filter(pk=failed.pk).update(
        state="failed",
        attempts=12,
        error="botocore.exceptions.EndpointConnectionError: Could not connect to the endpoint URL",
    )
    measured = Measured.objects.create(title="A dune", image=image())
    upload(measured, "cover")
    album = Album.objects.create(name="Dunes")
    upload(Page.objects.create(album=album))
    Page.objects.create(album=album, image=image())
    upload(Document.objects.create(title="Report"), "file")
    return SimpleNamespace(**locals())


@pytest.fixture
def look_at(chromium, live_server, site, settings, logged_in):
    """Opens a page of ``everywhere`` by its name, and notes its violations and shifts."""
    settings.ROOT_URLCONF = "tests.browser.everywhere"
    del settings.CRISPY_TEMPLATE_PACK  # The package's own page, as it is without another pack.
    contexts = []

    def open_page(name, shown, **options):
        context = chromium.new_context(base_url=live_server.url, **options)
        contexts.append(context)
        context.set_default_timeout(DEADLINE * 1000)
        context.add_init_script(WATCH)
        context.add_cookies([{**logged_in, "url": live_server.url}])
        page = context.new_page()
        page.goto({**PAGES, **ADMIN, **SWAPPED}[name].format(**vars(shown)))
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", [*PAGES, *ADMIN])
def test_no_page_is_wider_than_its_window(name, look_at, shown, settings):
    page = look_at(name, shown)
    too_wide = {}
    for language, direction in ("en", "ltr"), ("ar", "rtl"):
        settings.LANGUAGE_CODE = language
        page.reload()
        # Not every page follows the language.
        page.evaluate("direction => { document.documentElement.dir = direction; }", direction)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            too_wide[direction, width] = page.evaluate(TOO_WIDE)

    assert {case: found for case, found in too_wide.items() if found} == {}


@pytest.mark.parametrize("name", [*PAGES, *ADMIN])
def test_axe_finds_nothing_on_any_page(name, look_at, shown):
    page = look_at(name, shown, bypass_csp=True)  # Axe is put into the page.
    part = "#content-main" if name in ADMIN else None  # The rest is Django's.
    options = {"rules": {rule: {"enabled": False} for rule in BROKEN_BY_DJANGO.get(name, [])}}

    found = {}
    for colours in "light", "dark":
        page.emulate_media(color_scheme=colours)
        page.evaluate(TRANSITIONS_END)
        for violation in Axe().run(page, part, options).response["violations"]:
            nodes = [node["html"] for node in violation["nodes"]]
            found[colours, violation["id"]] = nodes

    assert found == {}


@pytest.mark.parametrize("name", [*PAGES, *ADMIN])
def test_no_page_breaks_a_strict_policy(name, look_at, shown):
    page = look_at(name, shown)
    save_pending_uploads()
    page.wait_for_function("() => !document.querySelector('async-image[data-state=pending]')")

    violations = page.evaluate("violations")
    if name in ADMIN:
        violations = [each for each in violations if "django_async_forms/" in each]
    assert violations == []


@pytest.mark.parametrize("name", ["states", "update", "list", "several"])
def test_nothing_jumps_when_an_image_is_updated(name, look_at, shown):
    page = look_at(name, shown)
    page.wait_for_selector("async-image[data-state=pending]")
    loaded_at = page.evaluate("performance.now()")

    save_pending_uploads()
    page.wait_for_function("() => !document.querySelector('async-image[data-state=pending]')")
    page.evaluate("new Promise(requestAnimationFrame)")

    # A stored image without width and height moves what follows it when it is loaded, as any does.
    assert [shift for shift in page.evaluate("shifts") if shift["at"] > loaded_at] == []


@pytest.mark.parametrize("name", SWAPPED)
def test_in_a_swapped_page_no_file_of_ours_breaks_a_policy(name, look_at, shown, node_modules):
    page = look_at(name, shown)

    page.click("text=Look")
    page.wait_for_selector("async-image[data-state=pending]")
    save_pending_uploads()
    page.wait_for_selector("async-image[data-state=saved] img")

    assert page.url.endswith("/states/")
    assert page.evaluate("performance.getEntriesByType('navigation')[0].name").endswith(".js")
    assert [each for each in page.evaluate("violations") if "django_async_forms/" in each] == []


@pytest.mark.parametrize(
    "name", ["create", "update", "own update", "several", "admin change", "outbox upload"]
)
def test_each_control_is_reached_by_keyboard(name, look_at, shown):
    page = look_at(name, shown)

    for _ in range(page.evaluate(f"{CONTROLS}.length") + 1):
        page.keyboard.press("Tab")

    assert page.evaluate(NOT_REACHED) == []


def test_a_form_is_filled_in_and_sent_by_keyboard(look_at, shown, picture):
    page = look_at("create", shown)
    choosers = []
    # Before the key, or Chromium opens its own dialog at times.
    page.on("filechooser", lambda chooser: choosers.append(chooser))

    page.keyboard.press("Tab")
    page.keyboard.type("By keyboard")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    wait_until(lambda: page.wait_for_timeout(5) or choosers, "the file chooser is open")
    choosers[0].set_files(picture())
    page.wait_for_selector(".async-image-preview img")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    page.wait_for_selector("async-image[data-state=pending]")
    assert Photo.objects.filter(title="By keyboard").exists()
