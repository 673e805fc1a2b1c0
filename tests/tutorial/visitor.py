"""Who uses the site of a page: a person with a browser, or, where there is none, over HTTP."""

import io
import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests
from PIL import Image

from tests.worker import DEADLINE, wait_until

#: How a page of the documentation shows an image that is seen.
IMAGE = "[an image of {} by {} pixels]"


class InABrowser:
    """A person who has one page open, and does not load it again without being told."""

    def __init__(self, page):
        self._page = page
        page.set_default_timeout(DEADLINE * 1000)

    def save(self, address, title, image):
        self._page.goto(address)
        self._page.set_input_files("[name=image]", image)
        self.save_again(title)

    def try_to_save(self, address, title, image):
        self._page.goto(address)
        self._page.fill("[name=title]", title)
        self._page.set_input_files("[name=image]", image)
        with self._page.expect_navigation():
            self._page.click("[type=submit]")

    def save_again(self, title):
        self._page.fill("[name=title]", title)
        with self._page.expect_navigation(url="**/photos/*/"):
            self._page.click("[type=submit]")

    def reload(self):
        self._page.reload()

    def see(self, address, lines):
        assert self._page.url == address

        def seen():
            self._page.wait_for_timeout(20)
            images = self._page.evaluate(
                "[...document.images].filter(image => image.complete && image.checkVisibility())"
                ".map(image => [image.naturalWidth, image.naturalHeight])"
            )
            return _shows(self._page.inner_text("body"), images, lines)

        wait_until(seen, f"{address} shows {lines}")


class OverHTTP:
    """A client that knows what a browser would show."""

    def __init__(self):
        self._session = requests.Session()
        self._session.trust_env = False  # No proxy between this machine and itself.
        self._came_back = None

    def save(self, address, title, image):
        answer = self._submit(self._get(address), title, image)
        assert answer.history, answer.text

    def try_to_save(self, address, title, image):
        self._came_back = self._submit(self._get(address), title, image)
        assert not self._came_back.history

    def save_again(self, title):
        answer = self._submit(self._came_back, title)
        assert answer.history, answer.text
        self._came_back = None

    def _submit(self, page, title, image=None):
        hidden = re.findall(r'<input type="hidden" name="([\w-]+)" value="([^"]+)"', page.text)
        files = {} if image is None else {"image": (image.name, image.read_bytes())}
        data = {**dict(hidden), "title": title}
        answer = self._session.post(page.url, data, files=files, timeout=DEADLINE)
        answer.raise_for_status()
        return answer

    def reload(self):
        """It loads a page each time that it looks at it."""

    def see(self, address, lines):
        def seen():
            page = Visible((self._came_back or self._get(address)).text)
            contents = [self._get(urljoin(address, source)).content for source in page.sources]
            images = [Image.open(io.BytesIO(content)).size for content in contents]
            return _shows(page.text, images, lines)

        wait_until(seen, f"{address} shows {lines}")

    def _get(self, address):
        answer = self._session.get(address, timeout=DEADLINE)
        answer.raise_for_status()
        return answer


class Visible(HTMLParser):
    """The text and the images of a page, without what is hidden."""

    def __init__(self, page):
        super().__init__()
        self.text, self.sources = "", []
        self._hidden = None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if self._hidden is None and (tag in ("head", "template") or "hidden" in dict(attrs)):
            self._hidden = tag
        elif self._hidden is None and tag == "img":
            self.sources.append(dict(attrs)["src"])

    def handle_endtag(self, tag):
        if tag == self._hidden:
            self._hidden = None

    def handle_data(self, data):
        if self._hidden is None:
            self.text += data


def _shows(text, images, lines):
    """Tell whether there is all that the lines say, and no image that they do not."""
    wanted = [line for line in lines if IMAGE.partition("{")[0] in line]
    return sorted(wanted) == sorted(IMAGE.format(*size) for size in images) and all(
        line in text for line in lines if line not in wanted
    )
