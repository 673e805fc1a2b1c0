"""
What a person waits for at 2 Mbit/s and 300 ms: from the press of Save to the answer, in Chromium.

The image was chosen before, and the person has typed until it was there, or for 40 seconds. Against
the same form without an image, and against the image that goes with the form.
"""

import time
from contextlib import ExitStack, suppress

from tests.browser.conftest import ARGUMENTS, CHROMIUM

from . import images
from .processes import Web
from .rounds import interleave

NETWORK = {
    "offline": False,
    "latency": 300,
    "uploadThroughput": 250_000,
    "downloadThroughput": 250_000,
}
#: How long a person types after the choice, in seconds.
TYPING = 40
WARM_UP = 1

# By the clock of the browser, which goes on from page to page.
SAVE = """() => {
    sessionStorage.pressed = performance.timeOrigin + performance.now();
    document.querySelector("form [type=submit]").click();
}"""
WAITED = """() => performance.timeOrigin - sessionStorage.pressed
    + performance.getEntriesByType("navigation")[0].loadEventStart"""


def measure(results, places, size, rounds, progress):
    """Measure the three forms in turn, if there is a Chromium."""
    if CHROMIUM is None:
        return
    from playwright.sync_api import TimeoutError as StillSendingError
    from playwright.sync_api import sync_playwright

    path = places.data / "photo.jpeg"
    path.write_bytes(images.image(size))
    with ExitStack() as stack:
        web = stack.enter_context(Web(places, database=places.database))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        stack.callback(browser.close)
        person = _Person(browser, f"http://127.0.0.1:{web.port}", path)
        prefix = ("browser", images.label(size))
        progress(f"{' '.join(prefix)} typing")
        # They type at the same time, each on a line of their own.
        typing = [person.choose("/browser/") for _ in range(WARM_UP + rounds)]
        until = time.monotonic() + TYPING
        for page in typing:
            with suppress(StillSendingError):
                left = max(until - time.monotonic(), 0.001)
                page.wait_for_selector("[data-state=sent]", timeout=left * 1000)
        cases = {
            "no image": lambda: person.save(person.open("/browser/")),
            "a draft": lambda: person.save(typing.pop()),
        }
        interleave(results, prefix, cases, rounds, progress, warm_up=WARM_UP)
        # This takes as long as the line needs, which varies little.
        slow = {"the image with the form": lambda: person.save(person.choose("/browser/plain/"))}
        interleave(results, prefix, slow, max(1, rounds // 3), progress, warm_up=0)
    places.empty(places.database)


class _Person:
    """A person with a slow line, and a window for each form."""

    def __init__(self, browser, address, path):
        self._browser = browser
        self._address = address
        self._path = path

    def open(self, form):
        """Open a form, and fill in its title."""
        context = self._browser.new_context(base_url=self._address)
        page = context.new_page()
        page.goto(form)
        page.fill("[name=title]", "Dune")
        context.new_cdp_session(page).send("Network.emulateNetworkConditions", NETWORK)
        return page

    def choose(self, form):
        """Open a form, and choose the image."""
        page = self.open(form)
        page.set_input_files("[name=image]", self._path)
        return page

    def save(self, page):
        """Save a form; return how many seconds later its answer was there."""
        with page.expect_navigation(wait_until="load", timeout=120_000):
            page.evaluate(SAVE)
        assert page.text_content("h1") == "Saved"
        seconds = page.evaluate(WAITED) / 1000
        page.context.close()
        return seconds
