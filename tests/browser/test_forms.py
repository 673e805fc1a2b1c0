"""Forms in a browser: it submits them and renders the answer, as without the package's script."""

import json
import re
from functools import partial

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from django_async_forms.models import Upload
from django_async_forms.uploads import save_image
from tests import pictures
from tests.browser import forms_site
from tests.browser.conftest import watch_shifts
from tests.project.models import OnlyImages, Photo
from tests.worker import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SEND = "form [type=submit], form > button"
SCRIPT = f"<script nonce={forms_site.NONCE}>"


@pytest.fixture(autouse=True)
def form_site(pages, settings):
    settings.ROOT_URLCONF = "tests.browser.forms_site"
    forms_site.written.clear()
    forms_site.posts.clear()
    forms_site.answering.set()
    yield forms_site
    forms_site.answering.set()


@pytest.fixture
def posts(form_site):
    return form_site.posts


def fill_in(page, path, title="Dune"):
    page.fill("[name=title]", title)
    page.set_input_files("[name=image]", path)


def press(page, selector="form > button"):
    """Press a button; Playwright's own click waits for the answer."""
    page.evaluate(
        "selector => void setTimeout(() => document.querySelector(selector).click())", selector
    )


def send(page):
    """Press the button, and wait for the answer."""
    press(page)
    page.wait_for_selector("h1 >> text=Thanks")


def label(page):
    return page.text_content("form > button")


def wait_for(page, condition, what):
    wait_until(lambda: page.wait_for_timeout(5) or condition(), what)


def while_sent(
    page, *expressions, act="document.querySelector('form [type=submit], form > button')"
):
    """
    Press the button, and return what the expressions are while the server has the form.

    They are evaluated in the page, one after the other: Chromium does not talk to a debugger while
    a page is about to leave. The server answers afterwards.
    """
    forms_site.answering.clear()
    functions = ", ".join(f"() => ({expression})" for expression in expressions)
    page.evaluate(
        """() => void setTimeout(async () => {
          const pause = () => new Promise((done) => setTimeout(done, 20));
          ACT.click();
          while (await (await fetch("/count/")).json() < 1) await pause();
          const seen = [];
          for (const look of [FUNCTIONS]) {
            seen.push(look() ?? null);
            await pause();
          }
          sessionStorage.setItem("seen", JSON.stringify(seen));
          await fetch("/release/");
        })""".replace("ACT", act).replace("FUNCTIONS", functions)
    )
    wait_for(page, lambda: forms_site.answering.is_set(), "the page has looked")
    page.wait_for_selector("h1 >> text=Thanks")
    return json.loads(page.evaluate("sessionStorage.getItem('seen')"))


# As without the script


@pytest.fixture
def open_form(pages, picture):
    """Opens a form that is answered in some way, writes into its page, and fills it in."""

    def open_form(kind="page", query="", **written):
        forms_site.written.update(written)
        page = pages(f"/send/{kind}/{query}")
        with_script = "false" if query else "true"
        page.wait_for_function(
            f"() => Boolean(customElements.get('async-image-input')) === {with_script}"
        )
        fill_in(page, picture())
        return page

    return open_form


@pytest.fixture(params=["", "?plain"], ids=["with the script", "without"])
def filled_in(request, open_form):
    """Opens a form with the package's script and without it."""
    return partial(open_form, query=request.param)


def test_a_form_is_posted_once_with_its_file(filled_in, posts):
    page = filled_in("page")

    send(page)
    assert posts == [{"title": "Dune", "image": "dune.jpg"}]


@pytest.mark.parametrize("kind", ["text", "json"])
def test_an_answer_that_is_not_html_is_shown_as_text(filled_in, kind, posts):
    page = filled_in(kind)

    press(page)

    page.wait_for_selector("text=<h1>Thanks</h1>")
    assert len(posts) == 1
    assert page.locator("h1").count() == 0


@pytest.mark.parametrize(
    ("kind", "address"),
    [("redirect", "/done/"), ("anchor", "/done/#below"), ("elsewhere", "127.0.0.1:*/done/")],
)
def test_a_redirect_is_followed_by_the_browser(filled_in, kind, address, posts, live_server):
    page = filled_in(kind)

    press(page)

    page.wait_for_url(f"**{address.replace('*', str(live_server.thread.port))}")
    assert len(posts) == 1
    assert bool(page.evaluate("scrollY")) == (kind == "anchor")


@pytest.mark.parametrize("kind", ["too-large", "broken"])
def test_the_page_of_an_error_is_shown(filled_in, kind, posts, pages):
    page = filled_in(kind)

    press(page)

    page.wait_for_selector(f"h1 >> text={'413' if kind == 'too-large' else '500'}")
    assert len(posts) == 1
    assert all("status of" in error for error in pages.errors)
    pages.errors.clear()


def test_an_empty_answer_leaves_the_form(filled_in, posts):
    page = filled_in("nothing")

    press(page)

    wait_for(page, lambda: posts, "the form arrives")
    assert page.input_value("[name=title]") == "Dune"
    assert page.evaluate("document.querySelector('[name=image]').files[0].name") == "dune.jpg"


def test_a_file_in_the_answer_is_downloaded(filled_in, posts):
    page = filled_in("file")

    with page.expect_download() as download:
        press(page)

    assert download.value.suggested_filename == "receipt.bin"
    assert page.input_value("[name=title]") == "Dune"
    assert len(posts) == 1


@pytest.mark.parametrize("where", ["formtarget", "target", "base"])
def test_a_form_with_another_window_for_its_target_is_never_locked(filled_in, posts, where):
    page = filled_in(
        "page",
        head="<base target=_blank>" if where == "base" else "",
        attributes="target=_BLANK" if where == "target" else "",
        buttons=f"<button {'formtarget=preview' if where == 'formtarget' else ''}>Save</button>",
    )

    for count in (1, 2):
        press(page)
        wait_for(page, lambda count=count: len(posts) == count, "the form arrives")

    assert label(page) == "Save"
    assert page.url.partition("?")[0].endswith("/send/page/")


def test_the_target_of_a_frame_is_filled(filled_in):
    page = filled_in("page", attributes="target=below", after="<iframe name=below></iframe>")

    press(page)

    page.frame_locator("iframe").locator("h1 >> text=Thanks").wait_for()
    assert label(page) == "Save"


@pytest.mark.parametrize(
    "button", ["<button formmethod=get>Save</button>", "<button>Save</button>"]
)
def test_a_form_of_the_method_get_asks_for_a_page(filled_in, posts, button):
    page = filled_in("page", buttons=button, attributes="" if "get" in button else "method=get")

    send(page)
    assert posts[0]["title"] == "Dune"


def test_a_dialog_is_closed_and_its_form_stays_usable(filled_in, posts):
    page = filled_in("page", buttons="<button formmethod=dialog value=no>Close</button>")
    page.evaluate(
        """const dialog = document.createElement("dialog");
        document.body.append(dialog);
        dialog.append(document.querySelector("form"));
        dialog.showModal();"""
    )

    for _ in range(2):
        press(page, "dialog form > button")
        page.wait_for_function("() => !document.querySelector('dialog').open")
        page.evaluate("document.querySelector('dialog').showModal()")

    assert label(page) == "Close"
    assert posts == []


def test_the_action_of_a_button_wins(filled_in, posts):
    page = filled_in("page", buttons="<button formaction=/send/redirect/>Save</button>")

    press(page)

    page.wait_for_url("**/done/")
    assert len(posts) == 1


@pytest.mark.parametrize(
    "button",
    [
        "<button name=do value=publish>Publish <b>now</b></button>",
        "<input type=submit name=do value=publish>",
        "<button name=submit value=publish>Save</button>",
        "<button name=action value=publish>Save</button>",
        "<input type=submit name=target value=publish>",
        "<button name=method value=publish>Save</button>",
    ],
)
def test_the_name_and_the_value_of_a_button_arrive(filled_in, posts, button):
    page = filled_in("page", buttons=f"<button name=do value=draft>Draft</button>{button}")

    page.evaluate("selector => [...document.querySelectorAll(selector)].at(-1).click()", SEND)

    page.wait_for_selector("h1 >> text=Thanks")
    assert list(posts[0].values()) == ["Dune", "publish", "dune.jpg"]


@pytest.mark.parametrize(
    ("how", "button"),
    [
        ("form.submit()", None),
        ("form.requestSubmit()", None),
        ("form.requestSubmit(form.querySelector('[value=b]'))", "b"),
        ("form.querySelector('[value=b]').click()", "b"),
    ],
)
def test_a_script_may_submit_the_form(filled_in, posts, how, button):
    page = filled_in(
        "page", buttons="<button name=x value=a>A</button><button name=x value=b>B</button>"
    )

    page.evaluate(
        f"void setTimeout(() => {{ const form = document.querySelector('form'); {how}; }})"
    )

    page.wait_for_selector("h1 >> text=Thanks")
    assert posts[0].get("x") == button
    assert len(posts) == 1


def test_the_enter_key_submits_by_the_first_button(filled_in, posts):
    page = filled_in(
        "page", buttons="<button name=x value=a>A</button><button name=x value=b>B</button>"
    )

    page.press("[name=title]", "Enter")

    page.wait_for_selector("h1 >> text=Thanks")
    assert posts[0]["x"] == "a"


@pytest.mark.parametrize("novalidate", ["formnovalidate", ""])
def test_a_required_field_stops_the_form_unless_the_button_says_otherwise(
    filled_in, posts, novalidate
):
    page = filled_in("page", buttons=f"<button {novalidate}>Save</button>")
    page.fill("[name=title]", "")

    press(page)

    if novalidate:
        page.wait_for_selector("h1 >> text=Thanks")
        assert posts == [{"title": "", "image": "dune.jpg"}]
    else:
        assert page.evaluate("document.activeElement.name") == "title"
        assert label(page) == "Save"
        assert posts == []


@pytest.mark.parametrize("where", ["window", "form"])
@pytest.mark.parametrize("phase", ["true", "false"])
@pytest.mark.parametrize("when", ["head", "after"])
def test_a_form_that_another_script_stops_is_left_alone(filled_in, posts, where, phase, when):
    target = "window" if where == "window" else "document.querySelector('form')"
    stop = (
        f"{SCRIPT}addEventListener('DOMContentLoaded', () => {target}.addEventListener('submit', "
        f"event => {{ event.preventDefault(); window.stopped = (window.stopped ?? 0) + 1; }}, "
        f"{phase}));</script>"
    )
    page = filled_in("page", **{when: stop})

    for _ in range(2):
        press(page)
        page.evaluate("new Promise(done => setTimeout(done))")

    assert page.evaluate("stopped") == 2
    assert label(page) == "Save"
    assert posts == []


def test_a_form_that_is_stopped_and_then_submitted_by_a_script_is_posted_once(filled_in, posts):
    page = filled_in(
        "page",
        after=f"""{SCRIPT}let asked = false;
        document.querySelector("form").addEventListener("submit", (event) => {{
          if (asked) return;
          event.preventDefault();
          setTimeout(() => {{ asked = true; event.target.requestSubmit(); }});
        }});</script>""",
    )

    send(page)
    assert len(posts) == 1


def test_the_answer_is_a_page_of_its_own(filled_in):
    page = filled_in("scripts", head=f"{SCRIPT}const NONE = 0;</script>")
    page.evaluate("window.before = true")

    press(page)

    expect(page).to_have_title("classic module")
    assert page.evaluate("[NONE, window.before]") == [1, None]


def test_an_anchor_of_the_page_with_errors_does_not_reload_it(filled_in):
    page = filled_in("errors", after="<a href='#id_title'>Title</a>")
    page.set_input_files("[name=image]", [])
    press(page, "form > button")
    page.evaluate("document.querySelector('form').noValidate = true")
    press(page, "form > button")
    page.wait_for_selector(".errorlist")
    page.fill("[name=title]", "typed since")

    page.click("a")

    assert page.url.endswith("#id_title")
    assert page.input_value("[name=title]") == "typed since"


def test_back_leads_to_the_form(filled_in):
    page = filled_in("redirect")
    press(page)
    page.wait_for_url("**/done/")

    page.go_back()

    assert "/send/redirect/" in page.url
    assert label(page) == "Save"
    press(page)
    page.wait_for_url("**/done/")


# While the form is sent


LABELS = (
    "[...document.querySelectorAll('body > button, form > button, [type=submit]')]"
    ".map(b => b.value || b.textContent)"
)


def test_the_buttons_say_that_the_form_is_being_sent(open_form):
    page = open_form(
        attributes="id=main",
        buttons="<button><b>Save</b> it</button><input type=submit value=Other>"
        "<button type=button>Help</button>",
        after="<button form=main>Outside</button><button>Of another form</button>",
    )
    first = "document.querySelector('form > button')"

    labels, *state = while_sent(page, LABELS, f"{first}.ariaDisabled", f"{first}.disabled")

    assert labels == [*["Sending…"] * 2, "Help", "Sending…", "Of another form"]
    assert state == ["true", False]


def test_the_input_says_that_the_form_is_being_sent(open_form):
    page = open_form()
    assert not page.locator("progress").is_visible()

    seen = while_sent(
        page,
        "document.querySelector('[role=status]').textContent",
        "getComputedStyle(document.querySelector('progress')).visibility",
        "document.querySelector('progress').position",
    )

    assert seen == ["Sending…", "visible", -1]


@pytest.mark.parametrize(
    "again",
    [
        "document.querySelector('form > button').click()",
        "document.querySelector('form').requestSubmit()",
        "document.querySelector('form').requestSubmit(document.querySelector('form > button'))",
    ],
)
def test_a_second_press_does_nothing(open_form, posts, again):
    page = open_form()

    while_sent(page, again, again)

    assert len(posts) == 1


def test_a_second_press_in_the_same_moment_does_nothing(open_form, posts):
    page = open_form()

    page.evaluate(
        "void setTimeout(() => {"
        "for (let i = 0; i < 3; i++) document.querySelector('form > button').click() })"
    )

    page.wait_for_selector("h1 >> text=Thanks")
    assert len(posts) == 1


@pytest.mark.parametrize(
    "button",
    ["<button> <b>Save</b> it </button>", "<input type=submit>", "<input type=submit value=x>"],
)
def test_a_form_whose_submission_is_stopped_can_be_used_again(open_form, posts, button):
    page = open_form(buttons=button)
    form = "document.querySelector('form').outerHTML"
    html = page.evaluate(form)

    during, _, after, _ = while_sent(
        page,
        form,
        "stop()",
        form,
        "document.querySelector('form [type=submit], form > button').click()",
    )

    assert during != html
    assert after == html
    assert len(posts) == 2


@pytest.mark.parametrize("kind", ["nothing", "file"])
def test_a_form_whose_page_stays_can_be_used_again(open_form, posts, kind):
    page = open_form(kind)

    press(page)
    wait_for(page, lambda: posts, "the form arrives")
    wait_for(page, lambda: label(page) == "Sending…", "it says so")
    wait_for(page, lambda: label(page) == "Save", "it can be used")
    press(page)

    wait_for(page, lambda: len(posts) == 2, "the form arrives again")


def test_a_form_of_a_page_that_was_kept_can_be_used(open_form):
    page = open_form()
    send(page)

    page.go_back()
    # Playwright's Chromium keeps no pages, so this tells what one that does would.
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")

    assert label(page) == "Save"


def test_after_back_the_file_that_is_still_chosen_is_shown(open_form):
    page = open_form()
    send(page)

    page.go_back()

    page.wait_for_function(
        "() => document.querySelector('.async-image-preview img')?.naturalWidth === 320"
    )
    assert page.evaluate("document.querySelector('[name=image]').files[0].name") == "dune.jpg"


def test_the_buttons_come_back_when_the_request_of_a_library_ends(open_form):
    page = open_form(
        after=f"""{SCRIPT}document.querySelector("form").addEventListener("submit", (event) => {{
          event.preventDefault();
          event.target.dispatchEvent(new CustomEvent("htmx:beforeRequest", {{bubbles: true}}));
          window.asked = (window.asked ?? 0) + 1;
        }});</script>""",
    )

    press(page)
    wait_for(page, lambda: label(page) == "Sending…", "it says so")
    press(page)
    page.evaluate("new Promise(done => setTimeout(done))")
    assert page.evaluate("asked") == 1
    page.evaluate(
        "document.querySelector('form').dispatchEvent("
        "new CustomEvent('htmx:afterRequest', {bubbles: true}))"
    )

    assert label(page) == "Save"
    press(page)
    page.wait_for_function("() => asked === 2")


@pytest.mark.parametrize(
    "event",
    [
        "'htmx:afterRequest', {detail: {requestConfig: {triggeringEvent: {type: 'change'}}}}",
        "'htmx:after:request', {detail: {ctx: {sourceEvent: {type: 'change'}}}}",
    ],
)
def test_a_request_that_does_not_submit_the_form_leaves_its_buttons(event, open_form):
    page = open_form()

    *_, said = while_sent(
        page,
        f"document.querySelector('form').dispatchEvent(new CustomEvent({event}))",
        "document.body.dispatchEvent(new CustomEvent('htmx:afterRequest', {bubbles: true}))",
        "document.querySelector('form > button').textContent",
    )

    assert said == "Sending…"


def test_a_request_that_does_not_submit_the_form_does_not_begin_its_sending(open_form):
    page = open_form()

    page.evaluate(
        """() => {
          const detail = {ctx: {sourceEvent: {type: "change"}}};
          const event = new CustomEvent("htmx:before:request", {bubbles: true, detail});
          document.querySelector("form").dispatchEvent(event);
          return new Promise((done) => setTimeout(done));
        }"""
    )

    assert label(page) == "Save"


def test_a_form_in_a_shadow_root_is_sent_once(open_form, posts):
    page = open_form()
    page.evaluate(
        """() => {
          const host = document.createElement("div");
          document.body.append(host);
          host.attachShadow({mode: "open"}).append(document.querySelector("form"));
          window.button = host.shadowRoot.querySelector("form > button");
        }"""
    )

    said, _ = while_sent(page, "button.textContent", "button.click()", act="button")

    assert said == "Sending…"
    assert len(posts) == 1


# The input


def choose(page, name, data=b"", kind=""):
    """Choose a file of any type, also of one that the browser does not know."""
    page.evaluate(
        """([name, bytes, type]) => {
          const input = document.querySelector("[name=image]");
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], name, {type}));
          input.files = transfer.files;
          input.dispatchEvent(new Event("change", {bubbles: true}));
        }""",
        [name, list(data), kind],
    )


def error(page, selector="async-image-input"):
    return page.text_content(f"{selector} .async-image-error")


def accept(page, value):
    page.evaluate("value => { document.querySelector('[name=image]').accept = value; }", value)


ACCEPTED = [
    ("image/*", "dune.jpg", "image/jpeg"),
    ("*/*", "dune.pdf", "application/pdf"),
    ("", "dune.pdf", "application/pdf"),
    (" IMAGE/JPEG , image/png", "dune.jpg", "image/jpeg"),
    ("image/jpeg;q=0.9", "dune.jpg", "image/jpeg"),
    (".JPG, .png", "DUNE.jpg", "image/jpeg"),
    (".heic,image/jpeg", "dune.HEIC", ""),
    ("image/jpeg", "dune.heic", ""),
    ("jpg", "dune.pdf", "application/pdf"),
    ("image/jpeg", "dune.jpg", "application/octet-stream"),
    ("image/jpeg", "dune.jpg", "image/jpg"),
    ("image/jpeg", "dune.jpg", "image/pjpeg"),
    ("image/jpg", "dune.jpg", "image/jpeg"),
    ("image/png", "dune.apng", "image/apng"),
]
REFUSED = [
    ("image/*", "dune.pdf", "application/pdf", "PDF"),
    ("image/png", "dune.jpg", "image/jpeg", "JPG"),
    (".png", "dune.heic", "", "HEIC"),
    (".png", "a.png.exe", "application/x-msdownload", "EXE"),
]


@pytest.fixture
def form_page(pages):
    page = pages("/send/page/")
    page.wait_for_function("() => Boolean(customElements.get('async-image-input'))")
    return page


def test_accept_is_understood_as_browsers_do(form_page):
    for value, name, kind in ACCEPTED:
        accept(form_page, value)
        choose(form_page, name, pictures.jpeg(8, 8), kind)
        assert not form_page.evaluate("document.querySelector('[name=image]').validationMessage"), (
            name
        )
    for value, name, kind, word in REFUSED:
        accept(form_page, value)
        choose(form_page, name, pictures.jpeg(8, 8), kind)
        assert error(form_page).startswith(f"Files of the type {word} are not allowed."), name
        assert form_page.evaluate("document.querySelector('[name=image]').validity.customError")


def test_the_error_of_a_type_names_those_that_are_allowed(pages, settings):
    settings.ASYNC_FORMS = {"FORMATS": ["JPEG", "PNG", "WEBP"]}
    page = pages("/send/page/")

    choose(page, "dune.pdf", b"%PDF", "application/pdf")

    assert error(page).endswith("Choose one of these: JPEG, PNG or WebP.")


def test_the_error_of_a_size_names_it_and_the_limit(pages, settings):
    settings.ASYNC_FORMS = {"MAX_BYTES": 2 * 1024}
    page = pages("/send/page/")

    choose(page, "dune.jpg", bytes(3 * 1024), "image/jpeg")

    assert error(page).replace("\xa0", " ") == "This file is 3.0 KB; the limit is 2.0 KB."


def test_a_file_without_bytes_is_refused_as_the_server_refuses_it(form_page):
    choose(form_page, "dune.jpg", b"", "image/jpeg")

    assert error(form_page) == "The submitted file is empty."
    assert form_page.evaluate("document.querySelector('[name=image]').validity.customError")


def test_a_refused_file_is_marked_as_the_server_marks_it(form_page, picture):
    before = form_page.locator("[name=image]").evaluate("e => getComputedStyle(e).borderColor")

    choose(form_page, "dune.pdf", b"%PDF", "application/pdf")

    field = form_page.locator("[name=image]")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(
        "Files of the type PDF are not allowed. Choose an image."
    )
    assert field.evaluate("e => getComputedStyle(e).borderColor") != before
    form_page.set_input_files("[name=image]", picture())
    expect(field).to_have_attribute("aria-invalid", "false")
    expect(field).to_have_accessible_description("")
    assert error(form_page) == ""


@pytest.mark.parametrize(
    ("name", "kind", "said"), [("a.png", "image/png", True), ("a.tif", "image/tiff", False)]
)
def test_a_file_that_the_browser_cannot_decode_is_reported_and_not_stopped(
    form_page, posts, name, kind, said
):
    choose(form_page, name, b"This is not an image.", kind)
    form_page.fill("[name=title]", "Dune")

    if said:
        form_page.wait_for_selector("text=Upload a valid image.")
    assert form_page.is_hidden(".async-image-preview")
    press(form_page)
    form_page.wait_for_selector("h1 >> text=Thanks")
    assert len(posts) == 1


def test_a_policy_that_forbids_the_preview_leaves_the_input_usable(pages, picture, monkeypatch):
    monkeypatch.setattr(forms_site, "POLICY", forms_site.POLICY.replace(" blob:", ""))
    page = pages("/send/page/")

    fill_in(page, picture())
    wait_for(page, lambda: pages.errors, "the policy is enforced")

    expect(page.locator(".async-image-preview")).to_be_hidden()
    assert error(page) == ""
    send(page)
    pages.errors.clear()


def test_what_a_script_of_the_project_says_of_a_file_stays(form_page, picture):
    message = "document.querySelector('[name=image]').validationMessage"
    form_page.evaluate(
        """() => document.querySelector("[name=image]").addEventListener("change", ({target}) =>
          target.setCustomValidity(target.files[0].name === "dune.jpg" ? "No dunes." : ""))"""
    )

    form_page.set_input_files("[name=image]", picture())
    assert form_page.evaluate(message) == "No dunes."

    form_page.set_input_files("[name=image]", picture("lake.jpg"))
    assert form_page.evaluate(message) == ""


@pytest.mark.parametrize("has_image", [False, True])
def test_a_file_that_the_browser_cannot_show_takes_the_place_of_the_image_before(
    pages, in_memory, picture, has_image
):
    pair = OnlyImages.objects.create(front=in_memory("front.jpg") if has_image else "")
    page = pages(f"/pair/{pair.pk}/")
    page.wait_for_function("() => Boolean(customElements.get('async-image-input'))")
    stage = page.locator(".async-image-stage").first

    page.set_input_files("[name=front]", picture("scan.tif", b"II*\0"))

    expect(stage.locator(".async-image-preview")).to_be_hidden()
    expect(stage.locator(".async-image-name")).to_have_text("scan.tif")
    said = stage.evaluate("stage => getComputedStyle(stage, '::before').content")
    assert said == '"No preview"'
    assert not stage.locator(".async-image-current:visible").count()


def test_the_error_of_the_server_goes_when_another_file_is_chosen(open_form, picture):
    page = open_form("errors")
    page.set_input_files("[name=image]", picture("not.png", b"This is not an image."))
    page.evaluate("window.before = true")
    press(page)
    page.wait_for_selector("ul.errorlist >> text=Upload a valid image")
    expect(page.locator("[name=image]")).to_have_attribute("aria-invalid", "true")

    page.set_input_files("[name=image]", picture())
    expect(page.locator("ul.errorlist")).to_be_hidden()
    page.set_input_files("[name=image]", [])

    expect(page.locator("ul.errorlist")).to_be_visible()
    expect(page.locator("[name=image]")).to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize("listener", ["", "event.stopImmediatePropagation()"])
def test_a_reset_takes_the_preview_away(form_page, picture, listener):
    form_page.set_input_files("[name=image]", picture())
    form_page.wait_for_selector(".async-image-preview img")

    form_page.evaluate(
        f"document.querySelector('form').addEventListener('reset', (event) => {{ {listener} }})"
    )
    form_page.evaluate("document.querySelector('form').reset()")

    form_page.wait_for_selector(".async-image-preview", state="hidden")


@pytest.mark.parametrize("size", [(1200, 400), (400, 1200), (8, 8)])
def test_a_preview_moves_nothing_and_stays_in_its_stage(pages, picture, size):
    page = pages("/send/page/", viewport={"width": 390, "height": 800})
    stage = "JSON.stringify(document.querySelector('.async-image-stage').getBoundingClientRect())"
    watch_shifts(page)
    before = page.evaluate(stage)

    page.set_input_files("[name=image]", picture(data=pictures.jpeg(*size)))
    page.wait_for_function("() => document.querySelector('.async-image-preview img')?.naturalWidth")

    assert page.evaluate(stage) == before
    assert page.evaluate("shifts") == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def pair_page(pages, in_memory):
    images = OnlyImages.objects.create(front=in_memory("front.jpg", pictures.jpeg(1200, 400)))
    return pages(f"/pair/{images.pk}/")


def test_choosing_a_file_unticks_clear_and_clear_drops_the_file(pages, in_memory, picture):
    page = pair_page(pages, in_memory)

    page.check("[name=front-clear]")
    page.set_input_files("[name=front]", picture())
    assert not page.is_checked("[name=front-clear]")
    page.check("[name=front-clear]")

    assert page.evaluate("document.querySelector('[name=front]').files.length") == 0
    expect(page.locator("async-image-input >> nth=0 >> .async-image-preview")).to_be_hidden()


def test_ticking_clear_fades_the_image_and_the_image_stays_in_the_page(pages, in_memory):
    page = pair_page(pages, in_memory)
    page.set_viewport_size({"width": 390, "height": 800})
    current = page.locator(".async-image-current").first

    page.check("[name=front-clear]")

    expect(current).to_have_css("opacity", "0.25")
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_each_input_of_a_form_has_its_own_preview(pages, in_memory, picture):
    page = pair_page(pages, in_memory)

    page.set_input_files("[name=back]", picture())

    page.wait_for_selector("async-image-input:has([name=back]) .async-image-preview img")
    assert page.locator("async-image-input:has([name=front]) .async-image-preview img").count() == 0


def test_an_input_that_a_script_adds_or_copies_works(form_page, picture):
    choose(form_page, "dune.pdf", b"%PDF", "application/pdf")
    form_page.evaluate(
        """() => {
          const copy = document.querySelector("async-image-input").cloneNode(true);
          copy.querySelector("input").id = copy.querySelector("input").name = "copy";
          copy.querySelector("input").value = "";
          document.querySelector("form").prepend(copy);
        }"""
    )
    assert error(form_page, "async-image-input:has([name=copy])") == ""

    form_page.set_input_files("[name=copy]", picture())

    form_page.wait_for_selector("async-image-input:has([name=copy]) .async-image-preview img")
    assert error(form_page, "async-image-input:has([name=image])") != ""


def test_an_input_that_is_moved_keeps_its_preview(form_page, picture):
    form_page.set_input_files("[name=image]", picture())
    form_page.wait_for_selector(".async-image-preview img")

    form_page.evaluate(
        "document.querySelector('form').prepend(document.querySelector('async-image-input'))"
    )

    assert (
        form_page.evaluate("document.querySelector('.async-image-preview img').naturalWidth") == 320
    )


def test_the_widget_works_in_a_plain_template(pages, broker, in_memory, picture):
    images = OnlyImages.objects.create(front=in_memory("front.jpg"))
    page = pages(f"/plain/{images.pk}/")
    expect(page.locator("img[src$='front.jpg']")).to_be_visible()

    page.check("[name=front-clear]")
    page.set_input_files("[name=back]", picture("back.jpg"))
    page.click(SEND)

    page.wait_for_selector("async-image[data-state=pending]")
    assert Upload.objects.get().field_name == "back"
    assert not OnlyImages.objects.get().front


def test_a_pending_image_can_be_cleared(pages, broker, in_memory):
    images = OnlyImages.objects.create()
    save_image(in_memory(), images, "front")
    page = pages(f"/plain/{images.pk}/")

    page.check("[name=front-clear]")
    page.click(SEND)

    page.wait_for_url(re.compile(r"\?done$"))
    assert not Upload.objects.exists()


# The package's page


def test_the_package_s_page_keeps_a_strict_policy_and_says_that_it_is_saved(
    pages, picture, settings
):
    del settings.CRISPY_TEMPLATE_PACK
    page = pages("/own/add/")
    assert page.text_content("h1") == "Add photo"
    page.wait_for_function("() => Boolean(customElements.get('async-image-input'))")
    fill_in(page, picture())
    page.wait_for_selector(".async-image-preview img")

    press(page, "form [type=submit]")

    page.wait_for_url("**/done/")
    page.goto(f"/own/{Photo.objects.get().pk}/")
    assert page.text_content("h1") == "Change photo"
    assert page.text_content(".messages") == "Saved. The image will follow shortly."
    expect(page.locator("text=The image is being saved")).to_be_visible()


@pytest.mark.parametrize("query", ["add", "update"])
def test_axe_finds_nothing_on_the_package_s_page(pages, in_memory, query, settings):
    del settings.CRISPY_TEMPLATE_PACK
    photo = Photo.objects.create(title="Dune", image=in_memory())
    page = pages(f"/own/{'add' if query == 'add' else photo.pk}/", bypass_csp=True)
    page.evaluate("document.querySelector('form').noValidate = true")
    page.fill("[name=title]", "")
    press(page, "form [type=submit]")
    page.wait_for_selector(".summary")

    results = Axe().run(page)

    assert results.violations_count == 0, results.generate_report()
