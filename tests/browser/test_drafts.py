"""Images that are sent while the form is filled in, and those that a form keeps, in a browser."""

import io
import re
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.sessions.models import Session
from PIL import Image
from playwright.sync_api import expect

from django_async_forms.models import Draft, Upload
from tests import pictures
from tests.browser import drafts_site
from tests.browser.conftest import requests_of
from tests.browser.forms_site import NONCE
from tests.project.models import Page, Photo
from tests.worker import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

PART = 256 * 1024
SCRIPT = f"<script nonce={NONCE}>"
#: Each part of a draft, which is what travels.
PARTS = "**/uploads/drafts/*/"


@pytest.fixture(autouse=True)
def draft_site(pages, settings, broker):
    settings.ROOT_URLCONF = "tests.browser.drafts_site"
    drafts_site.written.clear()
    drafts_site.posts.clear()


@pytest.fixture
def posts():
    return drafts_site.posts


@pytest.fixture
def large_picture(picture):
    """An image of some five parts; returns its path."""

    def make(name="dune.jpg"):
        return picture(name, pictures.jpeg(1000, 1400))

    return make


@pytest.fixture
def open_form(pages):
    """Opens the page of a form, with what a test writes into it."""

    def open_page(kind="photo", options=None, **written):
        drafts_site.written.update(written)
        page = pages(f"/fill-in/{kind}/", **options or {})
        page.wait_for_function("() => Boolean(customElements.get('async-image-draft'))")
        return page

    return open_page


@pytest.fixture
def form(open_form):
    return open_form()


class Parts:
    """The parts of drafts that a page sends, which wait until a test lets them go on."""

    def __init__(self, page):
        self.page = page
        self.held = []
        self.is_open = False
        page.route(PARTS, self._receive)

    def _receive(self, route):
        if route.request.method == "PATCH" and not self.is_open:
            self.held.append(route)
        else:
            route.continue_()

    def wait(self, count=1):
        """Wait until as many parts are on their way."""
        wait_for(self.page, lambda: len(self.held) >= count, "a part is sent")

    def let_go(self, how=lambda route: route.continue_()):
        """Let the next part go on, or do something else with it."""
        self.wait()
        how(self.held.pop(0))

    def let_all_go(self):
        self.is_open = True
        while self.held:
            self.held.pop().continue_()


def wait_for(page, condition, what):
    return wait_until(lambda: page.wait_for_timeout(5) or condition(), what)


def state(page, selector="async-image-draft"):
    return page.locator(selector).get_attribute("data-state")


def wait_until_sent(page, name="image"):
    page.wait_for_selector(f"async-image-input:has([name={name}]) [data-state=sent]")


def press(page, selector="form > button"):
    """Press a button; Playwright's own click waits for the answer."""
    page.evaluate(
        "selector => void setTimeout(() => document.querySelector(selector).click())", selector
    )


def token(page, name="image-draft"):
    return page.input_value(f"[name={name}]")


def names_in(page, form="form"):
    """Return what the browser would submit in a form."""
    return page.evaluate("form => [...new FormData(document.querySelector(form)).keys()]", form)


def status(page):
    return page.text_content("async-image-draft [role=status]")


@contextmanager
def errors_of_requests(pages):
    """Chromium reports each answer that is an error; other errors are not expected."""
    yield
    others = [error for error in pages.errors if "Failed to load resource" not in error]
    pages.errors[:] = others


# Sent early


def give(page, how, path, selector="async-image-input"):
    """Give the input a file, as a person does who drops or pastes it."""
    page.evaluate(
        """([how, name, bytes, selector]) => {
          const transfer = new DataTransfer();
          const data = new Uint8Array(bytes);
          for (const each of [name, "second.jpg"]) {
            transfer.items.add(new File([data], each, {type: "image/jpeg"}));
          }
          const stage = document.querySelector(`${selector} .async-image-stage`);
          stage.focus();
          const event = how === "paste"
            ? new ClipboardEvent(how, {clipboardData: transfer, bubbles: true, cancelable: true})
            : new DragEvent(how, {dataTransfer: transfer, bubbles: true, cancelable: true});
          document.activeElement.dispatchEvent(event);
        }""",
        [how, path.name, list(path.read_bytes()), selector],
    )


@pytest.mark.parametrize("how", ["choose", "drop", "paste"])
def test_an_image_is_sent_as_soon_as_it_is_chosen_dropped_or_pasted(form, picture, how):
    if how == "choose":
        form.set_input_files("[name=image]", picture())
    else:
        give(form, how, picture())

    wait_until_sent(form)
    assert Draft.objects.get().name == "dune.jpg"
    assert Draft.objects.get().is_checked
    expect(form.locator(".async-image-preview img")).to_have_js_property("naturalWidth", 320)
    assert form.text_content(".async-image-name") == "dune.jpg"


def test_text_that_is_dropped_or_pasted_is_left_to_the_page(form):
    prevented = form.evaluate(
        """() => ["drop", "paste"].map((type) => {
          const transfer = new DataTransfer();
          transfer.setData("text/plain", "Dune");
          const event = type === "paste"
            ? new ClipboardEvent(type, {clipboardData: transfer, bubbles: true, cancelable: true})
            : new DragEvent(type, {dataTransfer: transfer, bubbles: true, cancelable: true});
          document.querySelector(".async-image-stage").dispatchEvent(event);
          return event.defaultPrevented;
        })"""
    )

    assert prevented == [False, False]


def test_a_form_carries_the_token_and_no_bytes(form, picture, posts):
    form.set_input_files("[name=image]", picture())
    wait_until_sent(form)
    form.fill("[name=title]", "Dune")
    held = token(form)
    key = Draft.objects.get().pk

    press(form)

    form.wait_for_selector("h1 >> text=Thanks")
    assert posts == [{"title": "Dune", "image-draft": held}]
    assert Upload.objects.get().pk == key


def test_a_library_that_collects_the_form_gets_the_token_and_no_bytes(form, picture):
    form.set_input_files("[name=image]", picture())
    wait_until_sent(form)

    assert names_in(form) == ["csrfmiddlewaretoken", "title", "image-draft"]
    assert form.evaluate("document.querySelector('[name=image]').files.length") == 1


@pytest.mark.parametrize(
    ("script", "left"),
    [
        ("input.disabled = true", []),
        ("input.value = ''", ["image"]),
        ("input.replaceWith(document.importNode(input))", ["image"]),
        ("input.remove()", []),
        ("input.removeAttribute('name')", []),
        ("form.reset()", ["image"]),
    ],
    ids=["disabled", "emptied", "replaced", "removed", "without a name", "reset"],
)
def test_a_form_carries_no_token_where_a_browser_would_carry_no_file(form, picture, script, left):
    form.set_input_files("[name=image]", picture())
    wait_until_sent(form)

    names = form.evaluate(
        f"""() => {{
          const input = document.querySelector("[type=file]"), {{ form }} = input;
          {script};
          return [...new FormData(form).keys()];
        }}"""
    )

    assert names == ["csrfmiddlewaretoken", "title", *left]


def test_a_form_carries_all_files_that_a_script_gives_an_input(form, picture):
    form.evaluate("document.querySelector('[name=image]').multiple = true")
    form.set_input_files("[name=image]", [picture("one.jpg"), picture("two.jpg")])
    wait_until_sent(form)

    assert names_in(form) == ["csrfmiddlewaretoken", "title", "image", "image"]


def test_a_form_carries_the_token_of_an_input_elsewhere_in_the_page(open_form, picture):
    page = open_form(after="<form id=other></form>")
    page.set_input_files("[name=image]", picture())
    wait_until_sent(page)

    page.evaluate("document.querySelector('[name=image]').setAttribute('form', 'other')")

    assert names_in(page, "#other") == ["image-draft"]
    assert names_in(page) == ["csrfmiddlewaretoken", "title"]


def test_a_file_that_the_page_refuses_is_not_sent(form, picture):
    with requests_of(form, "/drafts/") as requests:
        form.set_input_files("[name=image]", picture("dune.pdf", b"%PDF"))
        form.wait_for_selector("text=are not allowed")

    assert requests == []
    assert not state(form)


@pytest.mark.parametrize(
    "name", ['quoted".jpg', "two\nlines.jpg", "back\\slash.jpg", "a&amp;b.jpg", "ü;='.jpg"]
)
def test_an_image_that_is_sent_early_has_the_name_that_a_form_gives_it(
    form, pages, picture, posts, name
):
    form.set_input_files("[name=image]", picture(name))
    wait_until_sent(form)

    plain = pages("/fill-in/photo/?plain", java_script_enabled=False)
    plain.fill("[name=title]", "Dune")
    plain.set_input_files("[name=image]", picture(name))
    plain.click("form > button")

    plain.wait_for_selector("h1 >> text=Thanks")
    assert Draft.objects.get().name == posts[0]["image"]


def test_a_file_of_a_type_that_the_browser_does_not_know_has_the_type_that_a_form_gives_it(
    form, picture
):
    parts = Parts(form)

    form.set_input_files("[name=image]", picture("dune.unknown"))

    parts.wait()
    assert Draft.objects.get().content_type == "application/octet-stream"


def test_the_way_of_an_image_is_told_in_per_cent_and_words(form, large_picture):
    parts = Parts(form)
    bar = form.locator("async-image-draft progress")
    expect(bar).to_be_hidden()
    path = large_picture()

    form.set_input_files("[name=image]", path)
    parts.let_go()
    parts.wait()

    share = PART / path.stat().st_size
    assert status(form) == "Sending…"
    assert abs(int(form.text_content(".async-image-percent").rstrip("%")) - 100 * share) < 4
    expect(bar).to_be_visible()
    expect(bar).to_have_accessible_name("Sending…")
    assert 0.1 < bar.evaluate("bar => bar.value") < 0.4
    parts.let_all_go()
    wait_until_sent(form)
    assert status(form) == "Sent"
    assert form.text_content(".async-image-percent") == ""
    expect(bar).to_be_hidden()


def test_the_words_are_announced_once_and_not_per_cent_by_per_cent(form, large_picture):
    form.evaluate(
        """() => {
          window.said = [];
          const status = document.querySelector("async-image-draft [role=status]");
          new MutationObserver(() => said.push(status.textContent))
            .observe(status, {childList: true, characterData: true, subtree: true});
        }"""
    )

    form.set_input_files("[name=image]", large_picture())
    wait_until_sent(form)

    assert form.evaluate("said") == ["Sending…", "Sent"]


def test_a_storage_that_takes_no_parts_gets_the_file_in_one(
    open_form, large_picture, use_staging_storage
):
    use_staging_storage("django.core.files.storage.InMemoryStorage")
    page = open_form()

    with requests_of(page, "/drafts/") as requests:
        page.set_input_files("[name=image]", large_picture())
        wait_until_sent(page)

    assert [request.method for request in requests] == ["POST", "PATCH"]


def test_two_images_of_a_page_travel_at_a_time(open_form, picture):
    page = open_form("three")
    parts = Parts(page)
    for name in "left", "middle", "right":
        page.set_input_files(f"[name={name}]", picture(f"{name}.jpg"))

    parts.wait(2)
    queued = "async-image-input:has([name=right]) async-image-draft"
    assert state(page, queued) == "queued"
    assert Draft.objects.count() == 2
    parts.let_go()  # Of either.
    page.wait_for_selector("[data-state=sent]")
    parts.wait(2)

    assert state(page, queued) == "sending"
    parts.let_all_go()
    for name in "left", "middle", "right":
        wait_until_sent(page, name)


# Save


@pytest.fixture
def two_buttons(open_form, large_picture):
    """A form with two buttons whose image is travelling, and its parts."""
    page = open_form(buttons="<button name=do value=a>A</button><button name=do value=b>B</button>")
    parts = Parts(page)
    page.fill("[name=title]", "Dune")
    page.set_input_files("[name=image]", large_picture())
    parts.wait()
    return page, parts


def test_save_waits_for_an_image_that_is_travelling_and_submits_once(two_buttons, posts):
    page, parts = two_buttons

    for _ in range(3):
        press(page, "[value=b]")
    page.wait_for_selector("text=The image is still being sent…")
    assert page.locator("[value=b]").text_content() == "Sending…"
    assert page.get_attribute("[value=b]", "aria-disabled") == "true"
    assert posts == []
    parts.let_all_go()

    page.wait_for_selector("h1 >> text=Thanks")
    assert len(posts) == 1
    assert posts[0].keys() == {"title", "do", "image-draft"}
    assert posts[0]["do"] == "b"


def test_a_form_does_not_wait_for_an_input_that_is_disabled(form, large_picture, posts):
    parts = Parts(form)
    form.fill("[name=title]", "Dune")
    form.set_input_files("[name=image]", large_picture())
    parts.wait()
    form.evaluate("document.querySelector('[name=image]').disabled = true")

    press(form)

    form.wait_for_selector("ul.errorlist")
    assert posts == [{"title": "Dune"}]


def test_a_form_does_not_wait_where_a_field_is_missing(form, large_picture, posts):
    parts = Parts(form)
    form.set_input_files("[name=image]", large_picture())
    parts.wait()

    press(form)

    form.wait_for_function("() => document.activeElement.name === 'title'")
    assert form.text_content("form > button") == "Save"
    parts.let_all_go()
    wait_until_sent(form)
    assert posts == []


def test_another_script_sees_the_submission_after_the_wait_and_may_stop_it(
    open_form, large_picture, posts
):
    page = open_form(
        after=f"""{SCRIPT}window.seen = [];
        document.querySelector("form").addEventListener("submit", (event) => {{
          seen.push(new FormData(event.target).has("image-draft"));
          event.preventDefault();
        }});</script>"""
    )
    parts = Parts(page)
    page.fill("[name=title]", "Dune")
    page.set_input_files("[name=image]", large_picture())
    parts.wait()

    press(page)
    page.wait_for_selector("text=The image is still being sent…")
    assert page.evaluate("seen") == []
    parts.let_all_go()

    page.wait_for_function("() => seen.length === 1 && seen[0]")
    expect(page.locator("form > button")).to_have_text("Save")
    assert posts == []


def test_a_form_for_another_window_does_not_wait(open_form, large_picture, posts):
    page = open_form(attributes="target=_blank")
    parts = Parts(page)
    page.fill("[name=title]", "Dune")
    page.set_input_files("[name=image]", large_picture())
    parts.wait()

    with page.expect_popup():
        press(page)

    wait_for(page, lambda: posts, "the form arrives")
    assert posts == [{"title": "Dune", "image": "dune.jpg"}]
    parts.let_all_go()
    wait_until_sent(page)


def test_a_form_that_stays_in_the_page_sends_its_image_again(pages, picture, posts):
    page = pages("/fill-in/photo/nothing/")
    page.fill("[name=title]", "Dune")
    page.set_input_files("[name=image]", picture())
    wait_until_sent(page)
    first = token(page)

    with errors_of_requests(pages):
        press(page)
        wait_for(page, lambda: posts, "the form arrives")
        page.wait_for_function(
            "first => ![first, undefined].includes(document.querySelector("
            "'[name=image-draft]')?.value)",
            arg=first,
        )
        wait_until_sent(page)
        press(page)
        wait_for(page, lambda: Upload.objects.count() == 2, "the form is saved again")

    assert [post.keys() for post in posts] == [{"title", "image-draft"}] * 2


#: Collects the form, sends it when the test says so, and notes the answer.
COLLECT = """async (event) => {
  event.preventDefault();
  window.answer = null;
  const body = new FormData(event.target.form ?? event.target);
  await new Promise((resolve) => { window.let_go = resolve; });
  const answer = await fetch(location.href, {method: "POST", body});
  window.answer = await answer.text();
}"""


def let_go(page):
    """Have the script send the form that it has collected, and return the answer."""
    page.wait_for_function("() => window.let_go")
    page.evaluate("window.let_go()")
    page.wait_for_function("() => window.answer")
    page.evaluate("delete window.let_go")
    return page.evaluate("answer")


def save_by_script(page, pages):
    """Press the button, have the script send the form, and return the answer."""
    with errors_of_requests(pages):
        press(page)
        return let_go(page)


def test_a_form_that_a_script_sends_slowly_can_be_sent_again(form, pages, picture):
    form.clock.install()
    form.evaluate(f"document.querySelector('form').addEventListener('submit', {COLLECT})")
    form.fill("[name=title]", "Dune")
    form.set_input_files("[name=image]", picture())
    wait_until_sent(form)
    press(form)
    form.wait_for_function("() => window.let_go")
    form.clock.run_for(200_000)
    form.clock.resume()
    assert "Thanks" in let_go(form)

    assert "Thanks" in save_by_script(form, pages)

    assert Upload.objects.count() == 2


def test_a_form_that_a_script_sends_without_submitting_it_can_be_sent_again(
    open_form, pages, picture
):
    page = open_form(buttons="<button type=button>Save</button>")
    page.evaluate(f"document.querySelector('form > button').addEventListener('click', {COLLECT})")
    page.fill("[name=title]", "Dune")
    page.set_input_files("[name=image]", picture())
    wait_until_sent(page)
    first = token(page)

    with errors_of_requests(pages):
        assert "Thanks" in save_by_script(page, pages)
        expect(page.locator("[name=image-draft]")).not_to_have_value(first)
        wait_until_sent(page)

    assert "Thanks" in save_by_script(page, pages)
    assert Upload.objects.count() == 2


def test_a_button_that_a_script_disables_while_save_waits_sends_its_value(two_buttons, posts):
    page, parts = two_buttons
    press(page, "[value=b]")
    page.wait_for_selector("text=The image is still being sent…")

    page.evaluate("document.querySelector('[value=b]').disabled = true")
    parts.let_all_go()

    page.wait_for_selector("h1 >> text=Thanks")
    assert posts[0]["do"] == "b"


# Cancel and reset


@pytest.mark.parametrize("is_saving", [False, True])
def test_cancel_stops_the_image_and_leaves_the_form(form, large_picture, posts, is_saving):
    parts = Parts(form)
    form.fill("[name=title]", "Dune")
    form.set_input_files("[name=image]", large_picture())
    parts.wait()
    if is_saving:
        press(form)
        form.wait_for_selector("text=The image is still being sent…")

    form.get_by_role("button", name="Cancel: dune.jpg").click()

    assert form.evaluate("document.querySelector('[name=image]').files.length") == 0
    assert form.evaluate("document.activeElement.name") == "image"
    expect(form.locator(".async-image-preview")).to_be_hidden()
    expect(form.locator("form > button")).to_have_text("Save")
    assert not state(form)
    wait_for(form, lambda: not Draft.objects.exists(), "the draft is removed")
    assert posts == []


def test_an_image_that_is_cancelled_before_its_draft_is_answered_leaves_none(form, picture):
    held = []
    form.route("**/uploads/drafts/", lambda route: held.append(route))
    form.set_input_files("[name=image]", picture())
    wait_for(form, lambda: held, "the draft begins")
    form.get_by_role("button", name="Cancel: dune.jpg").click()
    assert not state(form)

    with form.expect_request(lambda request: request.method == "DELETE"):
        held[0].continue_()

    wait_for(form, lambda: not Draft.objects.exists(), "the draft is removed")


@pytest.mark.parametrize("is_sent", [False, True])
def test_a_reset_of_the_form_removes_the_draft(form, large_picture, is_sent):
    parts = Parts(form)
    form.set_input_files("[name=image]", large_picture())
    parts.wait()
    if is_sent:
        parts.let_all_go()
        wait_until_sent(form)

    form.evaluate("document.querySelector('form').reset()")

    wait_for(form, lambda: not Draft.objects.exists(), "the draft is removed")
    assert not state(form)
    assert form.locator("[name=image-draft]").count() == 0


def test_a_reset_while_a_script_sends_the_form_leaves_it_the_draft(form, picture):
    form.fill("[name=title]", "Dune")
    form.set_input_files("[name=image]", picture())
    wait_until_sent(form)

    with requests_of(form, "/drafts/") as requests:
        answer = form.evaluate(
            """async () => {
              const form = document.querySelector("form"), body = new FormData(form);
              form.reset();
              await new Promise((resolve) => setTimeout(resolve));
              await new Promise((resolve) => setTimeout(resolve));
              return (await fetch(location.href, {method: "POST", body})).text();
            }"""
        )

    assert "Thanks" in answer
    assert requests == []
    assert form.locator("[name=image-draft]").count() == 0


def test_an_input_that_is_removed_stops_sending(form, large_picture):
    parts = Parts(form)
    form.set_input_files("[name=image]", large_picture())
    parts.wait()

    form.evaluate("document.querySelector('async-image-input').remove()")

    wait_for(form, lambda: not Draft.objects.exists(), "the draft is removed")


def test_an_input_that_is_moved_goes_on_sending(form, large_picture):
    parts = Parts(form)
    form.set_input_files("[name=image]", large_picture())
    parts.let_go()
    parts.wait()

    form.evaluate("document.querySelector('form').prepend(document.querySelector('form > div'))")
    parts.let_all_go()

    wait_until_sent(form)
    assert Draft.objects.count() == 1


def test_another_image_takes_the_place_of_one_that_was_sent(form, picture):
    form.set_input_files("[name=image]", picture("first.jpg"))
    wait_until_sent(form)
    form.set_input_files("[name=image]", picture("second.jpg"))

    wait_for(
        form,
        lambda: [draft.name for draft in Draft.objects.all()] == ["second.jpg"],
        "the first is removed",
    )
    wait_until_sent(form)
    assert form.locator("[name=image-draft]").count() == 1


def test_a_file_that_is_chosen_again_after_it_has_changed_is_sent_again(form, picture, posts):
    form.fill("[name=title]", "Dune")
    choose_in_dialog(form, picture())
    wait_until_sent(form)
    first = token(form)

    choose_in_dialog(form, picture(data=pictures.jpeg(640, 480)))

    expect(form.locator(".async-image-preview img")).to_have_js_property("naturalWidth", 640)
    expect(form.locator("[name=image-draft]")).not_to_have_value(first)
    press(form)
    form.wait_for_selector("h1 >> text=Thanks")
    assert posts[0].keys() == {"title", "image-draft"}


def choose_in_dialog(page, path):
    """Choose a file with the events of the browser; Playwright adds some of its own."""
    session = page.context.new_cdp_session(page)
    root = session.send("DOM.getDocument")["root"]["nodeId"]
    found = session.send("DOM.querySelector", {"nodeId": root, "selector": "[name=image]"})
    session.send("DOM.setFileInputFiles", {**found, "files": [str(path)]})


def test_an_image_that_is_removed_again_can_be_chosen_again(form, picture):
    form.set_input_files("[name=image]", picture())
    wait_until_sent(form)
    form.get_by_role("button", name="Remove: dune.jpg").click()
    wait_for(form, lambda: not Draft.objects.exists(), "the draft is removed")
    assert form.evaluate("document.querySelector('[name=image]').validity.valueMissing")

    form.set_input_files("[name=image]", picture())

    wait_until_sent(form)
    assert Draft.objects.count() == 1


# When something fails


@pytest.mark.parametrize("failure", ["cut", "late", "conflict", "busy", "too often", "broken"])
def test_a_draft_goes_on_where_it_was_interrupted(form, pages, large_picture, failure):
    parts = Parts(form)
    answers = {"late": 408, "conflict": 409, "busy": 423, "too often": 429, "broken": 502}
    with requests_of(form, "/drafts/") as requests, errors_of_requests(pages):
        form.set_input_files("[name=image]", large_picture())
        parts.let_go()
        if failure == "cut":
            parts.let_go(lambda route: route.abort("connectionreset"))
        else:
            parts.let_go(lambda route: route.fulfill(status=answers[failure]))
        parts.let_go()
        parts.let_all_go()
        wait_until_sent(form)

    methods = [request.method for request in requests]
    assert methods[:5] == ["POST", "PATCH", "PATCH", "HEAD", "PATCH"]
    offsets = [
        request.headers["upload-offset"]
        for request in requests
        if "upload-offset" in request.headers
    ]
    assert offsets[:3] == ["0", f"{PART}", f"{PART}"]
    assert Draft.objects.get().is_checked


def test_a_draft_waits_for_the_network_and_goes_on_when_it_is_back(form, pages, large_picture):
    parts = Parts(form)
    form.set_input_files("[name=image]", large_picture())
    parts.let_go()
    parts.wait()

    with errors_of_requests(pages):
        form.context.set_offline(True)
        parts.let_go(lambda route: route.abort("internetdisconnected"))
        form.wait_for_selector("text=The connection is lost. Trying again…")
        parts.let_all_go()
        form.context.set_offline(False)

        wait_until_sent(form)
    assert Draft.objects.count() == 1


def test_a_draft_whose_first_answer_is_lost_begins_again(form, pages, picture):
    lost = []

    def lose(route):
        if lost:
            return route.continue_()
        lost.append(route)
        return route.abort("connectionreset")

    form.route("**/uploads/drafts/", lose)

    with errors_of_requests(pages):
        form.set_input_files("[name=image]", picture())
        wait_until_sent(form)


def test_what_the_form_field_refuses_is_said_at_once(form, pages, picture, posts):
    form.fill("[name=title]", "Dune")

    with errors_of_requests(pages):
        form.set_input_files("[name=image]", picture("not.tif", b"This is not an image."))
        form.wait_for_selector(".async-image-error >> text=Upload a valid image.")

    expect(form.locator("[name=image]")).to_have_attribute("aria-invalid", "true")
    assert form.evaluate("document.querySelector('[name=image]').validity.customError")
    assert form.locator("[name=image-draft]").count() == 0
    press(form)
    form.set_input_files("[name=image]", picture())
    wait_until_sent(form)
    assert form.text_content(".async-image-error") == ""
    assert posts == []


def test_what_is_refused_while_save_waits_stops_the_form(form, pages, picture, posts):
    parts = Parts(form)
    form.fill("[name=title]", "Dune")
    form.set_input_files("[name=image]", picture("not.tif", b"This is not an image."))
    parts.wait()
    press(form)
    form.wait_for_selector("text=The image is still being sent…")

    with errors_of_requests(pages):
        parts.let_all_go()
        form.wait_for_selector(".async-image-error >> text=Upload a valid image.")

    expect(form.locator("form > button")).to_have_text("Save")
    assert posts == []


@pytest.mark.parametrize("code", [403, 404, 413, 429, 302])
@pytest.mark.parametrize("is_saving", [False, True])
def test_a_file_that_the_endpoint_does_not_take_goes_with_the_form(
    form, pages, picture, posts, code, is_saving
):
    held = []
    form.route("**/uploads/drafts/", lambda route: held.append(route))
    form.fill("[name=title]", "Dune")
    form.set_input_files("[name=image]", picture())
    wait_for(form, lambda: held, "the draft begins")
    if is_saving:
        press(form)
        form.wait_for_selector("text=The image is still being sent…")

    with errors_of_requests(pages):
        headers = {"Location": "/done/"} if code == 302 else {}
        held[0].fulfill(status=code, headers=headers)
        if not is_saving:
            form.wait_for_function("() => !document.querySelector('[data-state]')")
            assert form.text_content(".async-image-error") == ""
            press(form)

        form.wait_for_selector("h1 >> text=Thanks")
    assert posts == [{"title": "Dune", "image": "dune.jpg"}]


@pytest.mark.parametrize("code", [403, 413])
def test_what_has_arrived_of_a_file_that_is_not_taken_is_removed(
    form, pages, large_picture, posts, code
):
    parts = Parts(form)
    form.fill("[name=title]", "Dune")

    with errors_of_requests(pages):
        form.set_input_files("[name=image]", large_picture())
        parts.let_go()
        parts.let_go(lambda route: route.fulfill(status=code))
        form.wait_for_function("() => !document.querySelector('[data-state]')")
        wait_for(form, lambda: not Draft.objects.exists(), "the draft is removed")

    press(form)
    form.wait_for_selector("h1 >> text=Thanks")
    assert posts == [{"title": "Dune", "image": "dune.jpg"}]


def test_a_file_that_cannot_be_read_is_refused_by_the_page(form, pages, picture, posts):
    form.fill("[name=title]", "Dune")
    path = picture()

    def remove(route):
        path.unlink(missing_ok=True)
        route.continue_()

    form.route("**/uploads/drafts/", remove)
    with errors_of_requests(pages):
        form.set_input_files("[name=image]", path)

        wait_for(form, lambda: not path.exists(), "the file is gone")
        form.wait_for_selector(".async-image-error >> text=Upload a valid image.")
        wait_for(form, lambda: not Draft.objects.exists(), "the draft is removed")
        press(form)

        form.set_input_files("[name=image]", picture("dunes.jpg"))
        wait_until_sent(form)
    assert posts == []


def test_over_the_limit_of_drafts_a_file_goes_with_the_form(form, pages, picture, posts, settings):
    settings.ASYNC_FORMS = {"MAX_DRAFT_BYTES": 10}
    form.fill("[name=title]", "Dune")

    with errors_of_requests(pages):
        form.set_input_files("[name=image]", picture())
        form.wait_for_function("() => !document.querySelector('[data-state]')")
        press(form)

        form.wait_for_selector("h1 >> text=Thanks")
    assert posts == [{"title": "Dune", "image": "dune.jpg"}]


@pytest.mark.parametrize(("status", "fewest", "most"), [(503, 6, 11), (500, 3, 3)])
def test_a_server_that_fails_again_and_again_gets_the_file_with_the_form(
    form, pages, picture, posts, status, fewest, most
):
    form.clock.install()
    form.route("**/uploads/drafts/", lambda route: route.fulfill(status=status))
    form.fill("[name=title]", "Dune")

    with requests_of(form, "/drafts/") as requests, errors_of_requests(pages):
        form.set_input_files("[name=image]", picture())
        for _ in range(60):
            form.clock.run_for(1000)
            if not state(form):
                break

    assert fewest <= len(requests) <= most
    assert not state(form)
    form.clock.resume()
    press(form)
    form.wait_for_selector("h1 >> text=Thanks")
    assert posts == [{"title": "Dune", "image": "dune.jpg"}]


def test_where_a_policy_forbids_to_send_early_the_image_goes_with_the_form(
    open_form, pages, picture, posts, monkeypatch
):
    policy = drafts_site.POLICY.replace("connect-src 'self'; ", "")
    monkeypatch.setattr(drafts_site, "POLICY", policy)
    page = open_form()
    page.fill("[name=title]", "Dune")

    page.set_input_files("[name=image]", picture())
    press(page)

    page.wait_for_selector("h1 >> text=Thanks")
    assert posts == [{"title": "Dune", "image": "dune.jpg"}]
    assert len(pages.errors) == 2  # Chromium reports the one attempt twice.
    pages.errors.clear()


@pytest.mark.parametrize("how", ["expired", "logged out"])
def test_a_page_that_was_left_open_sends_an_image_that_is_gone_once_more(
    form, pages, picture, posts, how
):
    form.clock.install()
    form.fill("[name=title]", "Dune")
    form.set_input_files("[name=image]", picture())
    wait_until_sent(form)
    if how == "expired":
        Draft.objects.all().discard()
        form.clock.fast_forward(3600_000)
    else:
        Session.objects.all().delete()
        visit(form, "hidden")
        visit(form, "visible")
    form.clock.resume()

    with errors_of_requests(pages):
        press(form)

        form.wait_for_selector("h1 >> text=Thanks")
    assert [post.keys() for post in posts] == [
        {"title", "image-draft" if how == "expired" else "image"}
    ]
    assert Upload.objects.get().name == "dune.jpg"


def test_a_server_that_does_not_say_whether_an_image_is_there_does_not_hold_the_form(
    form, pages, picture, posts
):
    form.fill("[name=title]", "Dune")
    form.set_input_files("[name=image]", picture())
    wait_until_sent(form)
    visit(form, "hidden")
    visit(form, "visible")
    form.route(PARTS, lambda route: None)

    with errors_of_requests(pages):
        press(form)
        form.wait_for_selector("h1 >> text=Thanks")

    assert posts[0].keys() == {"title", "image-draft"}


def test_an_image_that_was_sent_a_moment_ago_is_not_asked_for_again(form, picture):
    form.fill("[name=title]", "Dune")
    form.set_input_files("[name=image]", picture())
    wait_until_sent(form)

    with requests_of(form, "/drafts/") as requests:
        press(form)
        form.wait_for_selector("h1 >> text=Thanks")

    assert requests == []


def visit(page, state):
    """Have the page be hidden, as one whose tab is left, or visible again."""
    page.evaluate(
        """state => {
          const value = state === "hidden";
          Object.defineProperty(document, "hidden", {value, configurable: true});
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        state,
    )


def test_a_page_without_the_endpoint_is_a_plain_form(open_form, picture, posts):
    page = open_form(
        after=f"""{SCRIPT}
        document.querySelector("async-image-input").removeAttribute("data-drafts");</script>"""
    )
    page.fill("[name=title]", "Dune")

    with requests_of(page, "/drafts/") as requests:
        page.set_input_files("[name=image]", picture())
        press(page)
        page.wait_for_selector("h1 >> text=Thanks")

    assert requests == []
    assert posts == [{"title": "Dune", "image": "dune.jpg"}]


# A form that comes back


def submit_with_error(page):
    page.evaluate("document.querySelector('form').noValidate = true")
    page.evaluate("window.before = true")
    press(page)
    page.wait_for_function("() => !window.before && document.querySelector('form')")


def test_three_images_travel_once_however_often_the_form_comes_back(open_form, picture, posts):
    page = open_form("three")
    with requests_of(page, "/drafts/") as requests:
        for name in "left", "middle", "right":
            page.set_input_files(f"[name={name}]", picture(f"{name}.jpg"))
            wait_until_sent(page, name)
        for _ in range(3):
            submit_with_error(page)
            expect(page.locator("[data-state=kept]")).to_have_count(3)
        page.fill("[name=title]", "Dune")
        press(page)
        page.wait_for_selector("h1 >> text=Thanks")

    assert [request.method for request in requests if request.method == "PATCH"] == ["PATCH"] * 3
    assert len(posts) == 4
    for post in posts:
        assert post.keys() - {"title"} == {"left-draft", "middle-draft", "right-draft"}
    assert {upload.name for upload in Upload.objects.all()} == {
        "left.jpg",
        "middle.jpg",
        "right.jpg",
    }


def test_without_javascript_three_images_travel_once_too(pages, picture, posts):
    page = pages("/fill-in/three/?plain", java_script_enabled=False)
    page.set_input_files("[name=left]", picture("left.jpg"))
    page.set_input_files("[name=middle]", picture("middle.jpg"))
    page.set_input_files("[name=right]", picture("right.jpg"))
    for title in " ", " ", " ", "Dune":
        page.fill("[name=title]", title)
        page.click("form > button")

    page.wait_for_selector("h1 >> text=Thanks")
    files = [name for post in posts for name in post if name in ("left", "middle", "right")]
    assert sorted(files) == ["left", "middle", "right"]
    assert len(posts) == 4
    assert Upload.objects.count() == 3


def test_without_javascript_a_kept_image_has_its_name_and_needs_no_file(pages, picture):
    page = pages("/fill-in/photo/", java_script_enabled=False)
    page.fill("[name=title]", " ")
    page.set_input_files("[name=image]", picture())
    page.click("form > button")

    kept = page.locator("async-image-input")
    expect(kept).to_contain_text("dune.jpg")
    expect(kept).to_contain_text("You do not have to choose it again.")
    expect(kept.locator("[type=file]")).to_be_visible()
    assert kept.locator("[type=file]").get_attribute("required") is None
    expect(kept.get_by_role("button")).to_have_count(1)  # The file input's own.


@pytest.fixture
def kept(form, picture):
    """The page of a form that has come back, with the image that it has kept."""
    form.set_input_files("[name=image]", picture())
    wait_until_sent(form)
    submit_with_error(form)
    form.wait_for_selector("[data-state=kept]")
    return form


def test_a_kept_image_is_shown_with_its_name_and_size(kept):
    image = kept.locator(".async-image-kept img")
    expect(image).to_have_js_property("naturalWidth", 320)
    assert kept.text_content(".async-image-name") == "dune.jpg"
    assert kept.text_content(".async-image-size").endswith("KB")
    assert status(kept) == "You do not have to choose it again."
    # The browser's input would say that no file is chosen.
    expect(kept.locator("[name=image]")).to_be_hidden()


def test_choose_another_opens_the_file_chooser_and_the_other_takes_its_place(kept, picture, posts):
    posts.clear()
    before = token(kept)
    kept.fill("[name=title]", "Dune")

    with kept.expect_file_chooser() as chooser:
        kept.get_by_role("button", name="Choose another: dune.jpg").click()
    chooser.value.set_files(picture("other.jpg"))
    wait_until_sent(kept)

    assert token(kept) != before
    wait_for(kept, lambda: Draft.objects.count() == 1, "the one before is removed")
    press(kept)
    kept.wait_for_selector("h1 >> text=Thanks")
    assert Upload.objects.get().name == "other.jpg"
    assert posts[0].keys() == {"title", "image-draft"}


def test_cancel_leads_back_to_the_kept_image(kept, large_picture):
    before = token(kept)
    parts = Parts(kept)
    kept.set_input_files("[name=image]", large_picture())
    parts.wait()
    expect(kept.locator(".async-image-kept")).to_be_hidden()

    kept.get_by_role("button", name="Cancel: dune.jpg").click()

    expect(kept.locator(".async-image-kept img")).to_be_visible()
    assert state(kept) == "kept"
    assert token(kept) == before
    wait_for(kept, lambda: Draft.objects.count() == 1, "the other is removed")


def test_remove_takes_a_kept_image_away_and_asks_for_one(kept):
    kept.get_by_role("button", name="Remove: dune.jpg").click()

    wait_for(kept, lambda: not Draft.objects.exists(), "the draft is removed")
    image = kept.locator("[name=image]")
    expect(image).to_be_visible()
    expect(image).to_be_focused()
    assert image.evaluate("input => input.validity.valueMissing")
    assert kept.locator("[name=image-draft]").count() == 0
    assert not state(kept)


def test_a_kept_image_can_be_replaced_once_its_fieldset_is_enabled(kept):
    kept.evaluate(
        """() => {
          const input = document.querySelector("async-image-input");
          const fieldset = document.createElement("fieldset");
          fieldset.disabled = true;
          input.replaceWith(fieldset);
          fieldset.append(input);
        }"""
    )
    another = kept.locator(".async-image-another")
    expect(another).to_be_hidden()

    kept.evaluate("document.querySelector('fieldset').disabled = false")

    expect(another).to_be_visible()


def test_a_refused_file_stands_in_place_of_the_kept_image_until_it_is_removed(kept, picture):
    kept.set_input_files("[name=image]", picture("dune.pdf", b"%PDF"))
    expect(kept.locator(".async-image-kept")).to_be_hidden()
    expect(kept.locator("[name=image]")).to_be_visible()
    assert status(kept) == ""

    kept.get_by_role("button", name="Remove: dune.pdf").click()

    expect(kept.locator(".async-image-kept")).to_be_visible()
    assert status(kept) == "You do not have to choose it again."
    assert kept.evaluate(
        "document.querySelector('form').querySelector('[name=image]').validity.valid"
    )


def test_an_image_that_the_form_itself_refuses_is_asked_for_again(open_form, picture):
    page = open_form("other")
    page.fill("[name=title]", "Dune")
    page.set_input_files("[name=image]", picture())
    wait_until_sent(page)

    submit_with_error(page)

    expect(page.locator("ul.errorlist")).to_have_text("Another one, please.")
    assert not state(page)
    expect(page.locator("[name=image]")).to_be_visible()


def test_an_image_that_is_gone_when_the_page_comes_back_is_asked_for(kept, pages):
    Draft.objects.all().discard()

    with errors_of_requests(pages):
        kept.evaluate("document.querySelector('async-image-draft').verify()")
        kept.wait_for_selector(".async-image-error >> text=no longer there")

    expect(kept.locator("[name=image]")).to_be_visible()
    assert kept.locator("[name=image-draft]").count() == 0


def test_after_back_the_file_that_is_still_chosen_is_sent_again(form, picture, posts):
    form.fill("[name=title]", "Dune")
    form.set_input_files("[name=image]", picture())
    wait_until_sent(form)
    press(form)
    form.wait_for_selector("h1 >> text=Thanks")

    form.go_back()
    wait_until_sent(form)
    press(form)

    form.wait_for_selector("h1 >> text=Thanks")
    assert len({post["image-draft"] for post in posts}) == 2
    assert Upload.objects.count() == 2


# In all kinds of pages


def test_a_copy_of_an_input_does_not_take_its_token(form, picture):
    form.set_input_files("[name=image]", picture())
    wait_until_sent(form)
    form.evaluate("document.querySelector('.async-image-preview').replaceChildren()")

    form.evaluate(
        """() => {
          const copy = document.querySelector("async-image-input").cloneNode(true);
          copy.querySelector("[type=file]").name = "copy";
          copy.querySelector("[type=file]").value = "";
          document.querySelector("form").append(copy);
        }"""
    )

    assert form.locator("[type=hidden][name$=draft]").count() == 1
    expect(form.locator("async-image-draft").last).not_to_have_attribute("data-state", "sent")


def test_a_form_that_a_script_adds_to_a_formset_sends_its_image(open_form, picture, posts):
    page = open_form("formset")
    page.evaluate(
        """() => {
          const copy = document.querySelector("template").content.cloneNode(true);
          for (const element of copy.querySelectorAll("*")) {
            for (const attribute of element.attributes) {
              attribute.value = attribute.value.replace("__prefix__", "1");
            }
          }
          document.querySelector("form > div").append(copy);
          document.querySelector("[name=form-TOTAL_FORMS]").value = 2;
        }"""
    )
    for index in 0, 1:
        page.fill(f"[name=form-{index}-title]", "Dune")
        page.set_input_files(f"[name=form-{index}-image]", picture(f"{index}.jpg"))
        wait_until_sent(page, f"form-{index}-image")

    press(page)

    page.wait_for_selector("h1 >> text=Thanks")
    assert {"form-0-image-draft", "form-1-image-draft"} <= posts[0].keys()
    assert sorted(upload.name for upload in Upload.objects.all()) == ["0.jpg", "1.jpg"]


def test_an_input_that_a_script_renames_has_the_token_under_its_new_name(open_form, picture):
    page = open_form()
    page.set_input_files("[name=image]", picture())
    wait_until_sent(page)

    names = page.evaluate(
        """() => {
          document.querySelector("[name=image]").name = "form-3-image";
          return [...new FormData(document.querySelector("form")).keys()];
        }"""
    )

    assert names == ["csrfmiddlewaretoken", "title", "form-3-image-draft"]


def test_inputs_that_change_names_keep_their_tokens(open_form, picture):
    page = open_form("three")
    for name in "left", "middle", "right":
        page.set_input_files(f"[name={name}]", picture(f"{name}.jpg"))
        wait_until_sent(page, name)
    left, middle, right = (token(page, f"{name}-draft") for name in ("left", "middle", "right"))

    posted = page.evaluate(
        """() => {
          const [left, middle, right] = document.querySelectorAll("[type=file]");
          [left.name, middle.name, right.name] = ["middle", "right", "left"];
          return Object.fromEntries(new FormData(document.querySelector("form")));
        }"""
    )

    assert posted["middle-draft"] == left
    assert posted["right-draft"] == middle
    assert posted["left-draft"] == right


def test_a_copy_of_an_input_does_not_take_its_kept_image(kept):
    kept.evaluate(
        """() => {
          const input = document.querySelector("async-image-input"), copy = input.cloneNode(true);
          copy.querySelector("[type=file]").name = "copy";
          input.after(copy);
        }"""
    )

    assert names_in(kept) == ["csrfmiddlewaretoken", "title", "image", "copy", "image-draft"]
    copy = kept.locator("async-image-input").last
    expect(copy.locator(".async-image-kept")).to_have_count(0)
    expect(copy.locator("[type=file]")).to_be_visible()
    expect(copy.locator("[type=file]")).to_have_attribute("required", "")


def test_a_field_may_be_named_elements(open_form, picture):
    page = open_form(buttons="<input name=elements value=Fe><button>Save</button>")

    page.set_input_files("[name=image]", picture())

    wait_until_sent(page)


def test_the_csrf_token_goes_in_the_header_that_the_project_names(open_form, picture, settings):
    settings.CSRF_HEADER_NAME = "HTTP_X_XSRF_TOKEN"
    page = open_form()

    page.set_input_files("[name=image]", picture())

    wait_until_sent(page)


def test_a_form_in_a_closed_shadow_root_waits_for_its_image(form, large_picture, posts):
    parts = Parts(form)
    form.fill("[name=title]", "Dune")
    form.evaluate(
        """() => {
          const host = document.createElement("div");
          document.body.append(host);
          window.root = host.attachShadow({mode: "closed"});
          window.root.append(document.querySelector("form"));
        }"""
    )
    field = form.evaluate_handle("root.querySelector('[name=image]')").as_element()
    field.set_input_files(large_picture())
    parts.wait()

    form.evaluate("root.querySelector('form > button').click()")

    assert form.evaluate("root.querySelector('form > button').textContent") == "Sending…"
    parts.let_all_go()
    form.wait_for_selector("h1 >> text=Thanks")
    assert posts[0].keys() == {"title", "image-draft"}


def test_a_form_without_a_csrf_token_sends_its_image(form, picture):
    form.evaluate("document.querySelector('[name=csrfmiddlewaretoken]').remove()")

    form.set_input_files("[name=image]", picture())

    wait_until_sent(form)


def test_a_form_in_a_shadow_root_sends_its_image(form, picture, posts):
    form.fill("[name=title]", "Dune")
    form.evaluate(
        """() => {
          const host = document.createElement("div");
          document.body.append(host);
          host.attachShadow({mode: "open"}).append(document.querySelector("form"));
        }"""
    )

    form.locator("[name=image]").set_input_files(picture())
    form.locator("[data-state=sent]").wait_for()
    form.locator("form > button").click()

    form.wait_for_selector("h1 >> text=Thanks")
    assert posts[0].keys() == {"title", "image-draft"}


@pytest.fixture
def admin_page(pages, live_server, logged_in):
    def open_page(address):
        page = pages("/fill-in/photo/")
        page.context.add_cookies([{**logged_in, "url": live_server.url}])
        page.goto(address)
        return page

    return open_page


def test_the_add_page_of_the_admin_sends_the_image(admin_page, picture):
    page = admin_page("/admin/project/photo/add/")
    page.fill("[name=title]", "Dune")
    page.set_input_files("[name=image]", picture())
    wait_until_sent(page)
    key = Draft.objects.get().pk

    page.click("[name=_continue]")

    page.wait_for_selector("async-image[data-state=pending]")
    assert Upload.objects.get().pk == key


def test_an_inline_of_the_admin_that_a_script_adds_sends_its_image(admin_page, picture):
    page = admin_page("/admin/project/album/add/")
    page.fill("[name=name]", "Dunes")
    page.click("text=Add another Page")
    for index in 0, 1:
        page.set_input_files(f"[name=pages-{index}-image]", picture(f"{index}.jpg"))
        wait_until_sent(page, f"pages-{index}-image")

    page.click("[name=_save]")

    page.wait_for_selector(".success")
    assert Page.objects.count() == 2
    assert sorted(upload.name for upload in Upload.objects.all()) == ["0.jpg", "1.jpg"]


def test_a_form_in_the_bootstrap_pack_sends_its_image(pages, picture):
    page = pages("/photos/add/")
    page.fill("[name=title]", "Dune")
    page.set_input_files("[name=image]", picture())
    wait_until_sent(page)
    key = Draft.objects.get().pk

    press(page, "form [type=submit]")

    page.wait_for_url(re.compile(r"/photos/\d+/$"))
    assert Upload.objects.get().pk == key


LIBRARIES = {
    "htmx 2": ("htmx2/dist/htmx.min.js", "hx-post='?' hx-encoding=multipart/form-data"),
    "htmx 4": ("htmx4/dist/htmx.min.js", "hx-post='?' hx-encoding=multipart/form-data"),
    "turbo": ("@hotwired/turbo/dist/turbo.es2017-umd.js", ""),
}


def test_an_input_that_a_script_adds_node_by_node_shows_the_kept_image(kept):
    kept.evaluate(
        """() => {
          const build = (model, parent) => {
            const node = model.cloneNode();
            parent.append(node);
            for (const child of model.childNodes) build(child, node);
          };
          const input = document.querySelector("async-image-input");
          input.remove();
          for (const button of input.querySelectorAll("button")) button.hidden = true;
          build(input, document.querySelector("form"));
        }"""
    )

    expect(kept.get_by_role("button", name="Choose another: dune.jpg")).to_be_visible()
    expect(kept.locator("[name=image]")).to_be_hidden()
    assert state(kept) == "kept"


@pytest.mark.parametrize("name", LIBRARIES)
def test_with_a_library_that_sends_forms_save_waits_too(
    name, open_form, pages, large_picture, posts, node_modules
):
    library, attributes = LIBRARIES[name]
    page = open_form(
        "photo/redirect",
        {"bypass_csp": True},  # The libraries write markup.
        head=f"<script nonce={NONCE} src=/node_modules/{library}></script>",
        attributes=attributes,
        buttons="<button name=do value=a>A</button><button name=do value=b>B</button>",
    )
    parts = Parts(page)
    page.set_input_files("[name=image]", large_picture())
    parts.wait()
    page.fill("[name=title]", "Dune")
    press(page, "[value=b]")
    page.wait_for_selector("text=The image is still being sent…")
    page.focus("[name=title]")
    assert posts == []

    parts.let_all_go()

    wait_for(page, lambda: Upload.objects.exists(), "the form is saved")
    assert posts[0].keys() == {"title", "do", "image-draft"}
    assert posts[0]["do"] == "b"
    assert len(posts) == 1


# For everyone


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_nothing_while_an_image_travels_nor_where_it_is_kept(
    pages, large_picture, colours
):
    page = pages("/fill-in/photo/", bypass_csp=True, color_scheme=colours)
    parts = Parts(page)
    found = []

    def look():
        found.extend(rule["id"] for rule in Axe().run(page, "form").response["violations"])

    page.set_input_files("[name=image]", large_picture())
    parts.let_go()
    parts.wait()
    look()
    parts.let_all_go()
    wait_until_sent(page)
    look()
    submit_with_error(page)
    page.wait_for_selector("[data-state=kept]")
    look()

    assert found == []


@pytest.mark.parametrize("colours", ["none", "active"])
def test_the_bar_is_seen_in_forced_colours_too(open_form, large_picture, colours):
    page = open_form(options={"forced_colors": colours})
    parts = Parts(page)
    page.set_input_files("[name=image]", large_picture())
    for _ in range(2):
        parts.let_go()
    parts.wait()
    bar = page.locator("async-image-draft progress")

    image = Image.open(io.BytesIO(bar.screenshot(animations="disabled"))).convert("RGB")

    middle = image.height // 2
    done, left = (image.getpixel((image.width * part // 20, middle)) for part in (1, 19))
    assert done != left


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_on_a_phone_a_kept_image_fits_its_stage(kept, direction):
    kept.evaluate(f"document.documentElement.dir = '{direction}'")
    kept.set_viewport_size({"width": 320, "height": 700})

    stage = kept.locator(".async-image-stage").bounding_box()
    bar = kept.locator("async-image-draft").bounding_box()

    assert kept.evaluate("document.documentElement.scrollWidth") == 320
    assert stage["height"] == 224
    assert bar["y"] + bar["height"] <= stage["y"] + stage["height"] + 0.5


def test_an_image_is_sent_removed_and_chosen_again_by_keyboard(form, picture):
    choosers = []
    # Before the key, or Chromium opens its own dialog at times.
    form.on("filechooser", lambda chooser: choosers.append(chooser))
    form.focus("[name=title]")
    form.keyboard.type("Dune")
    form.keyboard.press("Tab")
    expect(form.locator("[name=image]")).to_be_focused()
    form.keyboard.press("Enter")
    wait_for(form, lambda: choosers, "the file chooser is open")
    choosers[0].set_files(picture())
    wait_until_sent(form)

    form.keyboard.press("Shift+Tab")
    expect(form.get_by_role("button", name="Remove: dune.jpg")).to_be_focused()
    form.keyboard.press("Enter")

    expect(form.locator("[name=image]")).to_be_focused()
    wait_for(form, lambda: not Draft.objects.exists(), "the draft is removed")
    assert Photo.objects.count() == 0
