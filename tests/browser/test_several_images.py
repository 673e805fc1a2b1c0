"""Several images at once, each in a form of its own, in a formset of a page and in the admin."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from django_async_forms.models import Draft, Upload
from django_async_forms.test import save_pending_uploads
from tests.browser import several_site
from tests.browser.conftest import requests_of
from tests.browser.test_drafts import Parts, errors_of_requests, press, wait_for
from tests.project.models import Album, Page, Photo, Slide

pytestmark = pytest.mark.django_db(transaction=True)
#: The middleware of the live server.
POLICY = "tests.browser.several_site.policy"

CHOOSER = ".async-images-chooser input"
CARDS = ".async-images > .async-images-form"
#: So that all of a page is seen: Playwright scrolls while it drags.
LARGE = {"width": 1280, "height": 2000}
#: The names of the images, in the order of the page.
NAMES = """() => [...document.querySelectorAll(".async-images > .async-images-form")]
    .map((card) => card.querySelector(".async-image-name").textContent
        || card.querySelector("img")?.src.replace(/.*[/]/, "") || "")"""


@pytest.fixture(autouse=True)
def several_site_(pages, settings, broker):
    settings.ROOT_URLCONF = "tests.browser.several_site"
    several_site.options.clear()
    several_site.posts.clear()


@pytest.fixture
def posts():
    return several_site.posts


@pytest.fixture
def options():
    """What a test changes of the formset."""
    return several_site.options


@pytest.fixture
def album():
    return Album.objects.create(name="Dunes")


@pytest.fixture
def slides(album, in_memory):
    """Three stored slides, in this order."""
    for position, name in enumerate(["a.jpg", "b.jpg", "c.jpg"], 1):
        slide = Slide(album=album, position=position * 10)
        slide.image.save(name, in_memory(name))
    return album.slides.all()


@pytest.fixture
def open_album(pages, album):
    def open_page(**more):
        page = pages(f"/album/{album.pk}/", **more)
        page.wait_for_function("() => Boolean(customElements.get('async-image-formset'))")
        return page

    return open_page


@pytest.fixture
def open_photos(pages):
    def open_page(**more):
        page = pages("/photos/", **more)
        page.wait_for_function("() => Boolean(customElements.get('async-image-formset'))")
        return page

    return open_page


@pytest.fixture
def open_admin(pages, live_server, logged_in, album):
    def open_page(address=None):
        page = pages(f"/album/{album.pk}/")
        page.context.add_cookies([{**logged_in, "url": live_server.url}])
        page.goto(address or f"/admin/project/album/{album.pk}/change/")
        page.wait_for_selector("#slides-group .add-row a")
        return page

    return open_page


def give(page, how, selector, *paths):
    """Drop files on an element of the page, or paste them into it."""
    page.evaluate(
        """([how, selector, files]) => {
          const transfer = new DataTransfer();
          for (const [name, bytes] of files) {
            transfer.items.add(new File([new Uint8Array(bytes)], name, {type: "image/jpeg"}));
          }
          const options = {bubbles: true, cancelable: true};
          const event = how === "paste"
            ? new ClipboardEvent(how, {...options, clipboardData: transfer})
            : new DragEvent(how, {...options, dataTransfer: transfer});
          document.querySelector(selector).dispatchEvent(event);
        }""",
        [how, selector, [(path.name, list(path.read_bytes())) for path in paths]],
    )


def wait_until_sent(page, count):
    expect(page.locator("async-image-draft[data-state=sent]")).to_have_count(count)


def save(page):
    press(page, "form > button, form [name=_save]")
    page.wait_for_selector("h1 >> text=Thanks")


def order_of(album):
    return [slide.image.name.split("/")[-1] for slide in album.slides.all()]


# Choose, drop, paste


@pytest.mark.parametrize("how", ["choose", "drop", "paste"])
def test_each_of_several_images_gets_a_form_and_a_draft(open_album, picture, album, how):
    page = open_album()
    paths = [picture(f"{name}.jpg") for name in "abc"]

    if how == "choose":
        page.set_input_files(CHOOSER, paths)
    else:
        give(page, how, ".async-images-chooser", *paths)
    wait_until_sent(page, 3)
    assert Draft.objects.count() == 3
    assert page.evaluate(NAMES) == ["a.jpg", "b.jpg", "c.jpg"]
    save(page)

    save_pending_uploads()
    assert order_of(album) == ["a.jpg", "b.jpg", "c.jpg"]


def test_more_images_can_be_added_after_the_first_ones(open_album, picture):
    page = open_album()
    for name in "ab":
        page.set_input_files(CHOOSER, [picture(f"{name}.jpg")])

    wait_until_sent(page, 2)
    assert page.input_value("[name=slides-TOTAL_FORMS]") == "2"


def test_several_images_that_are_dropped_on_one_form_get_forms_of_their_own(
    open_album, picture, slides
):
    page = open_album()

    give(page, "drop", "#slides-1 .async-image-stage", picture("d.jpg"), picture("e.jpg"))

    wait_until_sent(page, 2)
    assert page.locator(CARDS).count() == 5
    assert page.locator("[data-over]").count() == 0


def test_one_image_that_is_dropped_on_a_form_is_that_form_s(open_album, picture, slides):
    page = open_album()

    give(page, "drop", "#slides-1 .async-image-stage", picture("d.jpg"))

    wait_until_sent(page, 1)
    assert page.locator("#slides-1 .async-image-name").text_content() == "d.jpg"
    assert page.locator(CARDS).count() == 3


def test_text_that_is_pasted_into_a_field_is_the_field_s_though_an_image_comes_with_it(
    open_album, picture, slides
):
    page = open_album()

    # As a word processor copies it.
    give(page, "paste", "[name=slides-0-caption]", picture("d.jpg"))

    assert page.locator(CARDS).count() == 3


def test_extra_forms_are_filled_first_and_the_empty_ones_are_not_saved(open_photos, picture, posts):
    page = open_photos()
    assert page.locator(CARDS).count() == 2

    page.set_input_files(CHOOSER, [picture("a.jpg")])
    wait_until_sent(page, 1)
    page.fill("[name=a-0-0-title]", "Dune")
    save(page)

    assert "a-0-0-image-draft" in posts[0]
    assert posts[0]["a-0-TOTAL_FORMS"] == "2"
    assert Photo.objects.get().title == "Dune"


def test_a_prefix_with_a_number_is_not_mistaken_for_that_of_a_form(open_photos, picture):
    page = open_photos()

    page.set_input_files(CHOOSER, [picture(f"{name}.jpg") for name in "abc"])
    wait_until_sent(page, 3)
    for index in range(3):
        page.fill(f"[name=a-0-{index}-title]", "Dune")
    save(page)

    assert Photo.objects.count() == 3


def test_the_labels_of_a_new_form_are_its_own(open_album, picture):
    page = open_album()
    page.set_input_files(CHOOSER, [picture("a.jpg"), picture("b.jpg"), picture("c.jpg")])
    wait_until_sent(page, 3)
    page.get_by_role("button", name="Remove: a.jpg").click()

    for card in page.locator(CARDS).all():
        card.locator("label", has_text="Caption").click()
        expect(card.locator("[name$=caption]")).to_be_focused()
    assert page.locator(CARDS).count() == 2
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((element) => element.id)")
    assert len(ids) == len(set(ids))


def test_an_image_is_added_where_a_script_has_removed_a_form(open_photos, picture):
    page = open_photos()
    page.set_input_files(CHOOSER, [picture("a.jpg"), picture("b.jpg"), picture("c.jpg")])
    wait_until_sent(page, 3)
    page.evaluate("document.getElementById('a-0-1').remove()")

    page.set_input_files(CHOOSER, picture("d.jpg"))
    wait_until_sent(page, 3)
    for title in page.locator(f"{CARDS} [name$=title]").all():
        title.fill("Dune")
    save(page)

    assert sorted(upload.name for upload in Upload.objects.all()) == ["a.jpg", "c.jpg", "d.jpg"]


def test_other_scripts_hear_of_a_new_form_as_from_the_admin(open_album, picture):
    page = open_album()
    page.evaluate(
        """() => {
          window.heard = [];
          document.addEventListener("formset:added", ({target, detail}) =>
            heard.push([target.id, detail.formsetName]));
        }"""
    )

    page.set_input_files(CHOOSER, [picture("a.jpg")])

    assert page.evaluate("heard") == [["slides-0", "slides"]]


# Without JavaScript


def test_without_javascript_it_is_the_formset(pages, album, picture, posts):
    several_site.options["extra"] = 2
    page = pages(f"/album/{album.pk}/", java_script_enabled=False)
    assert not page.is_visible(CHOOSER)
    for index, name in enumerate("ab"):
        page.set_input_files(f"[name=slides-{index}-image]", picture(f"{name}.jpg"))
        page.fill(f"[name=slides-{index}-position]", str(2 - index))
    page.click("form > button")

    page.wait_for_selector("h1 >> text=Thanks")
    save_pending_uploads()
    assert order_of(album) == ["b.jpg", "a.jpg"]


def test_without_javascript_an_image_is_removed_by_the_formset_s_own_checkbox(pages, album, slides):
    page = pages(f"/album/{album.pk}/", java_script_enabled=False)

    page.check("[name=slides-1-DELETE]")
    page.click("form > button")

    page.wait_for_selector("h1 >> text=Thanks")
    assert order_of(album) == ["a.jpg", "c.jpg"]


# Progress and failures


def test_each_image_has_its_progress(open_album, picture):
    page = open_album()
    parts = Parts(page)

    page.set_input_files(CHOOSER, [picture(f"{name}.jpg") for name in "abc"])
    parts.wait(2)

    states = page.locator("async-image-draft").evaluate_all(
        "all => all.map((e) => e.dataset.state)"
    )
    assert states == ["sending", "sending", "queued"]
    parts.let_all_go()
    wait_until_sent(page, 3)


def test_an_image_that_the_page_refuses_leaves_the_others(open_album, picture, album):
    page = open_album()
    page.set_input_files(CHOOSER, [picture("a.jpg"), picture("b.pdf", b"%PDF"), picture("c.jpg")])
    wait_until_sent(page, 2)
    expect(page.locator("#slides-1 .async-image-error")).to_contain_text("are not allowed")

    page.get_by_role("button", name="Remove: b.pdf").click()
    save(page)

    save_pending_uploads()
    assert order_of(album) == ["a.jpg", "c.jpg"]


def test_an_image_that_the_server_refuses_leaves_the_others(open_album, pages, picture, album):
    page = open_album()
    with errors_of_requests(pages):
        page.set_input_files(
            CHOOSER, [picture("a.jpg"), picture("b.jpg", b"no image"), picture("c.jpg")]
        )
        wait_until_sent(page, 2)
        expect(page.locator("#slides-1 .async-image-error")).to_contain_text("valid image")

    page.get_by_role("button", name="Remove: b.jpg").click()
    save(page)

    save_pending_uploads()
    assert order_of(album) == ["a.jpg", "c.jpg"]


def test_one_of_several_images_can_be_cancelled(open_album, picture):
    page = open_album()
    parts = Parts(page)
    page.set_input_files(CHOOSER, [picture(f"{name}.jpg") for name in "abc"])
    parts.wait(2)

    page.get_by_role("button", name="Cancel: b.jpg").click()
    parts.let_all_go()

    wait_until_sent(page, 2)
    assert page.evaluate(NAMES) == ["a.jpg", "c.jpg"]
    wait_for(page, lambda: Draft.objects.count() == 2, "the draft is removed")


def test_an_error_keeps_all_images_and_each_travels_once(open_album, picture, album, posts):
    page = open_album()
    with requests_of(page, "/drafts/") as requests:
        page.set_input_files(CHOOSER, [picture(f"{name}.jpg") for name in "abc"])
        wait_until_sent(page, 3)
        page.fill("[name=slides-1-caption]", "The second")
        for _ in range(2):
            page.fill("[name=name]", " ")
            page.evaluate("window.before = true")
            press(page)
            page.wait_for_function("() => !window.before && document.querySelector('form')")
            expect(page.locator("[data-state=kept]")).to_have_count(3)
        page.fill("[name=name]", "Dunes")
        save(page)

    assert [request.method for request in requests if request.method == "PATCH"] == ["PATCH"] * 3
    assert len(posts) == 3
    assert not any(name.endswith("-image") for post in posts for name in post)
    save_pending_uploads()
    assert order_of(album) == ["a.jpg", "b.jpg", "c.jpg"]
    assert [slide.caption for slide in album.slides.all()] == ["", "The second", ""]


def test_a_refusal_of_the_form_asks_for_that_image_only(open_album, picture, posts):
    page = open_album()
    page.set_input_files(CHOOSER, [picture("a.jpg"), picture("refused.jpg"), picture("c.jpg")])
    wait_until_sent(page, 3)

    press(page)
    expect(page.locator("#slides-1 .errorlist")).to_have_text("Another one, please.")
    expect(page.locator("[data-state=kept]")).to_have_count(2)
    page.set_input_files("[name=slides-1-image]", picture("b.jpg"))
    wait_until_sent(page, 1)
    save(page)

    assert {upload.name for upload in Upload.objects.all()} == {"a.jpg", "b.jpg", "c.jpg"}


# Order


def test_images_are_ordered_by_keyboard(open_album, slides, album):
    page = open_album()
    page.focus("#slides-2 [data-step='-1']")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")

    expect(page.locator("#slides-2 [data-step='-1']")).to_be_focused()
    assert page.locator(".async-images-status").text_content() == "Position 1 of 3."
    page.keyboard.press("Enter")  # It is the first already.
    save(page)

    assert order_of(album) == ["c.jpg", "a.jpg", "b.jpg"]


def test_images_are_ordered_by_dragging(open_album, slides, album):
    page = open_album(viewport=LARGE)

    page.drag_and_drop("#slides-0 .async-image-stage", "#slides-2 .async-image-stage")

    assert page.locator("[data-over]").count() == 0
    assert page.locator(".async-images-status").text_content() == "Position 3 of 3."
    assert page.locator(".async-image-preview img").count() == 0  # Nor is it a file.
    save(page)
    assert order_of(album) == ["b.jpg", "c.jpg", "a.jpg"]


def test_a_new_image_goes_between_stored_ones_while_it_travels(open_album, slides, album, picture):
    page = open_album()
    parts = Parts(page)
    page.set_input_files(CHOOSER, [picture("d.jpg")])
    parts.wait()

    for _ in range(2):
        page.click("#slides-3 [data-step='-1']")
    parts.let_all_go()
    wait_until_sent(page, 1)
    save(page)

    save_pending_uploads()
    assert order_of(album) == ["a.jpg", "d.jpg", "b.jpg", "c.jpg"]


def test_images_that_are_in_order_keep_their_numbers(open_album, slides, picture):
    page = open_album()

    page.set_input_files(CHOOSER, [picture("d.jpg")])
    wait_until_sent(page, 1)

    values = page.locator("[name$=-position]").evaluate_all("all => all.map((e) => e.value)")
    assert values == ["10", "20", "30", "31"]


def test_a_form_that_comes_back_has_the_order_that_it_was_sent_with(open_album, slides, picture):
    page = open_album()
    page.set_input_files(CHOOSER, [picture("d.jpg")])
    wait_until_sent(page, 1)
    for _ in range(3):
        page.click("#slides-3 [data-step='-1']")
    page.fill("[name=name]", " ")

    press(page)
    page.wait_for_selector("async-image-input:has([data-state=kept]) [data-step]")

    ids = page.locator(CARDS).evaluate_all("all => all.map((card) => card.id)")
    assert ids == ["slides-3", "slides-0", "slides-1", "slides-2"]


def test_the_formset_s_own_order_is_used_where_it_has_one(open_photos, picture, posts):
    page = open_photos()
    page.set_input_files(CHOOSER, [picture(f"{name}.jpg") for name in "abc"])
    wait_until_sent(page, 3)
    for index in range(3):
        page.fill(f"[name=a-0-{index}-title]", "Dune")

    page.click("#a-0-2 [data-step='-1']")
    save(page)

    assert [posts[0][f"a-0-{index}-ORDER"] for index in range(3)] == ["1", "3", "2"]


def test_removing_an_image_that_was_moved_leaves_the_tokens_of_the_others(
    open_album, picture, album
):
    page = open_album()
    page.set_input_files(CHOOSER, [picture(f"{name}.jpg") for name in "abcd"])
    wait_until_sent(page, 4)
    for _ in range(3):
        page.click("#slides-3 [data-step='-1']")

    page.get_by_role("button", name="Remove: a.jpg").click()
    expect(page.locator(CHOOSER)).to_be_focused()
    assert page.input_value("[name=slides-TOTAL_FORMS]") == "3"
    save(page)

    save_pending_uploads()
    assert order_of(album) == ["d.jpg", "b.jpg", "c.jpg"]


def test_a_stored_image_is_removed_by_the_formset_s_checkbox_until_the_form_is_saved(
    open_album, slides, album
):
    page = open_album()

    page.check("[name=slides-0-DELETE]")
    page.check("[name=slides-1-DELETE]")
    page.uncheck("[name=slides-1-DELETE]")
    save(page)

    assert order_of(album) == ["b.jpg", "c.jpg"]


# Limits


def test_more_images_than_the_formset_takes_are_named_with_the_limit(
    open_album, options, picture, slides, album
):
    options["max_num"] = 5
    page = open_album()

    page.set_input_files(CHOOSER, [picture(f"{name}.jpg") for name in "defg"])

    error = page.locator(".async-images-error")
    expect(error).to_have_text("The limit is 5 images. Not added: f.jpg, g.jpg.")
    wait_until_sent(page, 2)
    save(page)
    save_pending_uploads()
    assert order_of(album) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"]


def test_images_above_the_limit_of_drafts_go_with_the_form(
    open_album, pages, picture, album, settings, posts
):
    settings.ASYNC_FORMS = {"MAX_DRAFTS": 2}
    page = open_album()
    with errors_of_requests(pages):
        page.set_input_files(CHOOSER, [picture(f"{name}.jpg") for name in "abc"])
        page.wait_for_selector("text=Images sent: 2 of 3.")
    save(page)

    assert sum(name.endswith("-image") for name in posts[0]) == 1
    save_pending_uploads()
    assert order_of(album) == ["a.jpg", "b.jpg", "c.jpg"]


def test_an_image_that_is_to_be_deleted_makes_way_for_another(
    open_album, options, picture, slides, album
):
    options["max_num"] = 3
    page = open_album()
    page.check("[name=slides-0-DELETE]")

    page.set_input_files(CHOOSER, [picture("d.jpg")])
    wait_until_sent(page, 1)
    save(page)

    save_pending_uploads()
    assert order_of(album) == ["b.jpg", "c.jpg", "d.jpg"]


def test_a_formset_keeps_the_forms_that_it_needs(open_album, options, picture):
    options.update(min_num=1)
    page = open_album()
    page.set_input_files(CHOOSER, [picture("a.jpg"), picture("b.jpg")])
    wait_until_sent(page, 2)

    for name in "ab":
        page.get_by_role("button", name=f"Remove: {name}.jpg").click()

    expect(page.locator(CARDS)).to_have_count(1)
    assert page.input_value("[name=slides-TOTAL_FORMS]") == "1"


def test_a_formset_that_takes_no_more_forms_offers_no_input(open_album, options, slides):
    options["max_num"] = 0
    page = open_album()

    assert page.locator(CHOOSER).count() == 0
    page.click("#slides-0 [data-step='1']")
    assert page.locator(CARDS).first.get_attribute("id") == "slides-1"


# For everyone


def test_several_images_are_announced_together(open_album, picture):
    page = open_album()
    page.evaluate(
        """() => {
          window.said = [];
          new MutationObserver((all) => all.forEach(({target}) => {
            const region = target.parentElement?.closest("[role=status]") ?? target;
            if (region.matches?.("[role=status]") && region.ariaLive !== "off") {
              said.push(region.textContent);
            }
          })).observe(document, {childList: true, characterData: true, subtree: true});
        }"""
    )

    page.set_input_files(CHOOSER, [picture(f"{name}.jpg") for name in "abc"])
    page.wait_for_selector("text=Images sent: 3 of 3.")

    assert page.evaluate("said.filter(Boolean)") == ["Images added: 3.", "Images sent: 3 of 3."]


def test_save_says_that_it_waits_for_several_images(open_album, picture, posts):
    page = open_album()
    parts = Parts(page)
    page.set_input_files(CHOOSER, [picture("a.jpg"), picture("b.jpg")])
    parts.wait(2)

    press(page)
    status = page.locator("[role=status] >> text=The image is still being sent…")
    expect(status).to_be_visible()
    assert status.get_attribute("aria-live") is None
    assert posts == []
    parts.let_all_go()

    page.wait_for_selector("h1 >> text=Thanks")
    assert len(posts) == 1
    assert Upload.objects.count() == 2


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_nothing_in_a_formset_of_images(open_album, options, picture, slides, colours):
    options["max_num"] = 5
    page = open_album(bypass_csp=True, color_scheme=colours)
    page.set_input_files(CHOOSER, [picture(f"{name}.jpg") for name in "defg"])
    wait_until_sent(page, 2)

    found = Axe().run(page)

    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_a_formset_of_images_fits_its_window(
    open_album, options, picture, slides, direction, width
):
    options["max_num"] = 4
    page = open_album(viewport={"width": width, "height": 800})
    page.evaluate("direction => { document.dir = direction; }", direction)

    name = "a_name_without_a_space_that_no_phone_can_show_in_one_line"
    page.set_input_files(CHOOSER, [picture(f"{name}_{index}.jpg") for index in range(2)])
    wait_until_sent(page, 1)

    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_several_images_are_chosen_moved_and_removed_by_keyboard(open_album, picture):
    page = open_album()
    choosers = []
    # Before the key, or Chromium opens its own dialog at times.
    page.on("filechooser", lambda chooser: choosers.append(chooser))
    page.focus("[name=name]")
    page.keyboard.press("Tab")
    expect(page.locator(CHOOSER)).to_be_focused()
    page.keyboard.press("Enter")
    wait_for(page, lambda: choosers, "the file chooser is open")
    choosers[0].set_files([picture("a.jpg"), picture("b.jpg")])
    wait_until_sent(page, 2)

    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Remove: a.jpg")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Move image 1 later")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate(NAMES) == ["b.jpg", "a.jpg"]
    page.get_by_role("button", name="Remove: b.jpg").focus()
    page.keyboard.press("Enter")

    assert page.evaluate(NAMES) == ["a.jpg"]


# The admin


def test_the_admin_s_inlines_take_several_images(open_admin, picture, album, slides):
    page = open_admin()
    for prefix, names in ("slides", "de"), ("pages", "fg"):
        paths = [picture(f"{name}.jpg") for name in names]
        page.set_input_files(f"#id_{prefix}-several", paths)
    wait_until_sent(page, 4)

    page.click("[name=_save]")
    page.wait_for_selector(".success")

    save_pending_uploads()
    assert order_of(album) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"]
    assert Page.objects.count() == 2


def test_the_admin_s_inlines_have_a_limit(open_admin, picture):
    page = open_admin()

    page.set_input_files("#id_pages-several", [picture(f"{name}.jpg") for name in "abcd"])

    error = page.locator("[data-prefix=pages] .async-images-error")
    expect(error).to_have_text("The limit is 3 images. Not added: d.jpg.")
    assert page.input_value("[name=pages-TOTAL_FORMS]") == "3"


@pytest.mark.parametrize("how", ["the button of the image", "the link of the admin"])
def test_in_the_admin_a_new_image_is_moved_and_another_removed(
    open_admin, picture, album, slides, how
):
    page = open_admin()
    page.set_input_files("#id_slides-several", [picture("d.jpg"), picture("e.jpg")])
    wait_until_sent(page, 2)
    for _ in range(4):
        page.click("#slides-4 [data-step='-1']")

    # The admin's script numbers its rows as they stand, and stored ones must be the first.
    if how.endswith("image"):
        page.get_by_role("button", name="Remove: d.jpg").click()
    else:
        page.click("#slides-3 .inline-deletelink")
    expect(page.locator("#slides-group tr.dynamic-slides").first).to_contain_text("e.jpg")
    page.click("[name=_save]")
    page.wait_for_selector(".success")

    save_pending_uploads()
    assert order_of(album) == ["e.jpg", "a.jpg", "b.jpg", "c.jpg"]


def test_in_the_admin_images_are_ordered_by_dragging(open_admin, slides, album):
    page = open_admin()
    page.set_viewport_size(LARGE)

    page.drag_and_drop("#slides-2 .async-image-stage", "#slides-0 .async-image-stage")
    page.click("[name=_save]")
    page.wait_for_selector(".success")

    assert order_of(album) == ["c.jpg", "a.jpg", "b.jpg"]


def test_in_the_admin_a_number_that_is_typed_moves_the_image(open_admin, slides):
    page = open_admin()

    page.fill("[name=slides-0-position]", "99")
    page.keyboard.press("Tab")

    page.wait_for_selector("#slides-1:first-child")
    rows = page.locator("#slides-group tr.dynamic-slides")
    ids = rows.evaluate_all("all => all.map((row) => row.id)")
    assert ids == ["slides-1", "slides-2", "slides-0"]
    expect(page.locator("[name=slides-0-DELETE]")).to_be_focused()


def test_in_the_admin_a_number_that_is_stepped_keeps_the_focus(open_admin, slides):
    page = open_admin()
    number = page.locator("[name=slides-0-position]")
    number.evaluate("input => { input.value = 30; input.focus(); }")

    page.keyboard.press("ArrowUp")

    page.wait_for_selector("#slides-1:first-child")
    expect(number).to_have_value("31")
    expect(number).to_be_focused()


def test_in_the_admin_an_image_takes_its_errors_with_it(open_admin, slides):
    page = open_admin()
    page.fill("[name=slides-2-caption]", "refused")
    page.click("[name=_save]")
    page.wait_for_selector(".row-form-errors")

    page.click("#slides-2 [data-step='-1']")

    rows = page.locator("#slides-group tbody tr:not(.empty-form, .add-row)")
    ids = rows.evaluate_all("all => all.map((row) => row.id || row.className)")
    assert ids == ["slides-0", "row-form-errors", "slides-2", "slides-1"]


def test_the_admin_takes_the_images_of_a_page_that_came_back_once(open_admin, picture, album):
    page = open_admin()
    page.set_input_files("#id_slides-several", [picture("a.jpg"), picture("b.jpg")])
    wait_until_sent(page, 2)
    page.click("#slides-1 [data-step='-1']")
    page.fill("[name=name]", " ")
    page.click("[name=_save]")
    page.wait_for_selector(".errornote")
    expect(page.locator("#slides-group [data-state=kept]")).to_have_count(2)
    expect(page.locator("#slides-group tr.dynamic-slides").first).to_contain_text("b.jpg")

    with requests_of(page, "/drafts/") as requests:
        page.fill("[name=name]", "Dunes")
        page.click("[name=_save]")
        page.wait_for_selector(".success")

    assert requests == []
    save_pending_uploads()
    assert order_of(album) == ["b.jpg", "a.jpg"]


def test_axe_finds_nothing_new_in_the_admin(open_admin, picture, slides):
    page = open_admin()
    page.set_input_files("#id_pages-several", [picture("a.jpg")])
    wait_until_sent(page, 1)

    # The rest is Django's.
    found = Axe().run(page, "[data-prefix=pages]")

    assert found.violations_count == 0, found.generate_report()
