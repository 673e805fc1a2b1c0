"""The example in a browser: its pages at any width, in light and dark, and under their policy."""

import re

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe

from tests import example, pictures
from tests.browser.conftest import opening, watch_shifts
from tests.browser.test_drafts import errors_of_requests

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
TWICE = {"width": 640, "height": 450}  # The same at 200 %.
PAGES = ["", "photos/add/", "photos/1/", "photos/1/change/", "compare/"]
PAGES += ["albums/", "albums/add/", "albums/1/", "albums/1/change/"]


def add_photo(address, title, **files):
    """Add a photo without a browser; return the address of its page."""
    return post_form(f"{address}photos/add/", {"title": title}, files)


def post_form(address, data, files):
    """Post the form of a page without a browser; return the address that follows."""
    session = requests.Session()
    session.trust_env = False  # No proxy between this machine and itself.
    page = session.get(address).text
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
    data = {"csrfmiddlewaretoken": token, **data}
    files = {name: (f"{name}.jpg", content) for name, content in files.items()}
    answer = session.post(address, data, files=files)
    assert answer.history, answer.text
    return answer.url


def add_album(address, title, *images):
    """Add an album without a browser; return the address of its page."""
    data = {"title": title, "pictures-TOTAL_FORMS": len(images), "pictures-INITIAL_FORMS": 0}
    data |= {f"pictures-{index}-position": index for index, _ in enumerate(images)}
    files = {f"pictures-{index}-image": image for index, image in enumerate(images)}
    return post_form(f"{address}albums/add/", data, files)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The example with a photo and an album whose images are wide and tall, stored."""
    with example.running(tmp_path_factory.mktemp("example"), seconds=0) as site:
        images = {"image": pictures.jpeg(1800, 600), "detail": pictures.jpeg(300, 900)}
        add_photo(site.address, "A_very_long_name_without_a_space_that_no_phone_can_show", **images)
        add_album(site.address, "Tall and wide", *images.values())
        example.wait_until(
            lambda: len([*site.data.glob("media/*/*.jpg")]) == 4, "all images are stored"
        )
        yield site


@pytest.fixture
def visit(chromium, site):
    """Opens pages of the example."""
    with opening(chromium, site.address) as open_page:
        yield open_page


def log_in(page):
    page.fill("[name=username]", "admin")
    page.fill("[name=password]", "admin")
    page.click("[type=submit]")
    page.wait_for_selector("#user-tools")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", [*PAGES, "admin/login/"])
def test_axe_finds_nothing_on_a_page_of_the_example(visit, path, scheme):
    page = visit(path, viewport=DESKTOP, color_scheme=scheme)
    found = Axe().run(page)

    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("viewport", [PHONE, TWICE], ids=["a phone", "twice its size"])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_of_the_example_fits_in_both_directions(visit, path, viewport):
    page = visit(path, viewport=viewport)

    for direction in ("ltr", "rtl"):
        page.evaluate("direction => { document.dir = direction; }", direction)
        assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]


@pytest.mark.parametrize("path", PAGES)
def test_the_header_of_the_example_is_one_row_on_a_phone(visit, path):
    page = visit(path, viewport=PHONE)
    links = page.locator("header a").all()
    middles = [box["y"] + box["height"] / 2 for box in (link.bounding_box() for link in links)]

    assert max(middles) - min(middles) < 4


def test_the_first_tab_in_the_example_reaches_a_link_to_the_content(visit):
    page = visit("")
    page.keyboard.press("Tab")
    link = page.locator("a:focus")

    assert link.inner_text() == "Skip to the content"
    assert link.bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    page.wait_for_selector("main:focus")


@pytest.mark.parametrize("path", PAGES)
def test_the_focus_can_be_seen_everywhere_in_the_example(visit, path):
    page = visit(path)
    unseen = set()
    for _ in range(page.locator("a, button, input").count()):
        page.keyboard.press("Tab")
        if not page.evaluate(
            """() => {
                const { activeElement } = document;
                return activeElement === document.body
                    || getComputedStyle(activeElement).outlineStyle !== "none";
            }"""
        ):
            unseen.add(page.evaluate("document.activeElement.outerHTML"))

    assert unseen == set()


def test_the_close_up_is_smaller_than_the_photo(visit):
    page = visit("photos/1/", viewport=DESKTOP)
    photo, close_up = (frame.bounding_box() for frame in page.locator(".frame").all())

    assert close_up["width"] < photo["width"] / 2


def test_the_frames_of_the_example_have_one_size_for_each_image(visit, site):
    page = visit("", viewport=DESKTOP)
    wide = page.locator(".card .frame").last.bounding_box()
    add_photo(site.address, "Tall", image=pictures.jpeg(300, 900))
    page.reload()
    tall = page.locator(".card .frame").first.bounding_box()

    assert (tall["width"], tall["height"]) == (wide["width"], wide["height"])


def test_the_login_page_of_the_example_says_how_to_log_in(visit):
    page = visit("admin/")

    assert "log in as admin with the password admin" in page.inner_text("#content")


def test_the_admin_of_the_example_works_under_its_policy(visit):
    page = visit("admin/")
    log_in(page)
    for path in ("admin/photos/photo/", "admin/photos/photo/1/change/"):
        response = page.goto(path)
        assert "script-src 'self'" in response.headers["content-security-policy"]


def policy_of(address):
    with requests.Session() as session:
        session.trust_env = False
        return session.get(address).headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", PAGES)
def test_the_policy_of_a_page_of_the_example_is_strict(site, path):
    policy = policy_of(f"{site.address}{path}")

    assert "require-trusted-types-for 'script'" in policy
    assert re.search(r"script-src 'nonce-[\w-]+';", policy)
    assert "unsafe" not in policy


def test_each_answer_of_the_example_has_a_nonce_of_its_own(site):
    one, other = (re.search(r"'nonce-[\w-]+'", policy_of(site.address))[0] for _ in range(2))

    assert one != other


def test_the_example_compares_the_two_ways_with_a_bar_for_each(visit, picture):
    page = visit("compare/", viewport=DESKTOP, java_script_enabled=False)
    for way in ("worker", "plain"):
        form = page.locator(f"form[action$='/{way}/']")
        form.locator("[name=title]").fill("Dune")
        form.locator("[name=image]").set_input_files(picture())
        form.locator("> button").click()
        page.wait_for_url("**/compare/")

    bars = [bar.bounding_box()["width"] > 0 for bar in page.locator(".bar rect").all()]
    assert bars == [True, True]


def test_the_list_of_the_example_shows_the_new_photo_by_itself_and_moves_nothing(
    chromium, tmp_path
):
    with example.running(tmp_path) as site:
        add_photo(site.address, "Dune", image=pictures.jpeg(1800, 600))
        page = chromium.new_page(base_url=site.address)
        page.goto("")
        watch_shifts(page)
        frame = page.locator(".frame").bounding_box()
        image = page.wait_for_selector(".card img")

        assert image.evaluate("image => image.naturalWidth") == 1800
        assert page.locator(".frame").bounding_box() == frame
        assert page.evaluate("shifts") == []
        page.close()


def test_the_chosen_image_of_the_example_is_shown_before_it_is_sent(visit, picture):
    page = visit("photos/add/")

    page.set_input_files("[name=image]", picture())

    page.wait_for_selector(".async-image-preview img")


def test_an_album_of_the_example_is_filled_at_once_and_shown_in_its_order(visit, picture):
    page = visit("albums/add/")
    page.fill("[name=title]", "Dunes")
    page.set_input_files(".async-images-chooser input", [picture("a.jpg"), picture("b.jpg")])
    page.wait_for_selector("text=Images sent: 2 of 2.")
    page.click("#pictures-1 [data-step='-1']")

    # A staged image may be gone when the browser asks for it, because the worker is that quick.
    with errors_of_requests(visit):
        page.click("main form > button")
        page.wait_for_url(re.compile(r"/albums/\d+/$"))
        page.wait_for_function(
            "() => document.querySelectorAll('async-image[data-state=saved] img').length === 2"
        )

    sources = page.locator(".card img").evaluate_all("all => all.map(({src}) => src)")
    assert [source.split("/")[-1] for source in sources] == ["b.jpg", "a.jpg"]


def test_the_admin_of_the_example_takes_several_pictures(visit, picture):
    page = visit("admin/")
    log_in(page)
    page.goto("admin/photos/album/add/")
    page.fill("[name=title]", "Dunes")
    page.set_input_files("#id_pictures-several", [picture("a.jpg"), picture("b.jpg")])
    page.wait_for_selector("text=Images sent: 2 of 2.")
    page.click("[name=_save]")

    page.wait_for_selector(".success")
