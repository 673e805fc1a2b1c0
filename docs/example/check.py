"""Uses the site as a browser would, and measures what a person would wait for: ``run --check``."""

import http.cookiejar
import io
import json
import re
import secrets
import time
import urllib.error
import urllib.request
from urllib.parse import urljoin

from django.conf import settings
from photograph import photograph
from photos.models import Photo
from PIL import Image
from services import Failed, say

from django_async_forms.models import Upload

DEADLINE = 60


class Browser:
    """Keeps cookies, follows no redirects, and sends forms with files."""

    def __init__(self, address):
        self.address = address
        self.cookies = http.cookiejar.CookieJar()
        cookies = urllib.request.HTTPCookieProcessor(self.cookies)
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), cookies, NoRedirect
        )

    def get(self, path):
        with self._opener.open(urljoin(self.address, path), timeout=DEADLINE) as response:
            expect(response.status == 200, f"GET {path} was answered {response.status}.")
            return response.read()

    def ask(self, path, tokens):
        """Ask for the status of images, as the page's script does."""
        body = json.dumps({"tokens": tokens}).encode()
        request = urllib.request.Request(
            urljoin(self.address, path), body, {"Content-Type": "application/json"}
        )
        with self._opener.open(request, timeout=DEADLINE) as response:
            return response.read()

    def post(self, path, fields, files):
        """Post the form of a page; return where it redirects to, and when it was sent and answered.

        The page is asked for first, as it holds the token that Django wants back.
        """
        page = self.get(path).decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        expect(token, f"The form on {path} has no CSRF token.")
        body, content_type = multipart({"csrfmiddlewaretoken": token[1], **fields}, files)
        request = urllib.request.Request(
            urljoin(self.address, path), body, {"Content-Type": content_type}
        )
        sent = time.perf_counter()
        try:
            with self._opener.open(request, timeout=DEADLINE) as response:
                status, page = response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            answered = time.perf_counter()
            expect(error.code == 302, f"POST {path} was answered {error.code}:\n{error.read()!r}")
            return error.headers["Location"], sent, answered
        errors = re.findall(r"<strong>(.*?)</strong>", page)
        raise Failed(f"POST {path} was answered {status} and not redirected: {errors}")


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leaves redirects to whoever asked, who wants to know when they came."""

    def redirect_request(self, *args):
        return None


def expect(condition, otherwise):
    if not condition:
        raise Failed(otherwise)


def multipart(fields, files):
    boundary = secrets.token_hex(16)
    body = io.BytesIO()
    for name, value in fields.items():
        body.write(f"--{boundary}\r\n".encode())
        body.write(f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    for name, data in files.items():
        body.write(f"--{boundary}\r\n".encode())
        disposition = f'form-data; name="{name}"; filename="{name}.jpg"'
        body.write(f"Content-Disposition: {disposition}\r\n".encode())
        body.write(b"Content-Type: image/jpeg\r\n\r\n" + data + b"\r\n")
    body.write(f"--{boundary}--\r\n".encode())
    return body.getvalue(), f"multipart/form-data; boundary={boundary}"


def wait_until(is_done, services, otherwise):
    deadline = time.monotonic() + DEADLINE
    while not is_done():
        for service in services:
            service.check()
        expect(time.monotonic() < deadline, f"Not within {DEADLINE} s: {otherwise}.")
        time.sleep(0.01)


def photo_at(path):
    return Photo.objects.get(pk=int(re.fullmatch(r"/photos/(\d+)/", path)[1]))


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def check_stored(browser, path, files):
    """Verify that the page of a photo shows both images, byte for byte as they were posted."""
    page = browser.get(path).decode()
    addresses = re.findall(r'<img\b[^>]*\bsrc="([^"]+)"', page)
    expect(len(addresses) == 2, f"The page {path} shows {addresses}, not two images.")
    for (name, data), address in zip(files.items(), addresses, strict=True):
        expect(browser.get(address) == data, f"{address} is not what was posted as {name}.")
    photo = photo_at(path)
    size = Image.open(io.BytesIO(files["image"])).size
    found = (photo.width, photo.height)
    expect(found == size, f"Photo {photo.pk} says it is {found}, but the image is {size}.")


def check_pending(browser, path, page):
    """Verify that the page of a photo says that both images are pending, and can ask."""
    tokens = re.findall(r'data-token="([^"]+)"', page)
    expect(len(tokens) == 2, f"The page {path} does not say that the images are being saved.")
    answer = json.loads(browser.ask(re.search(r'data-status-url="([^"]+)"', page)[1], tokens))
    states = [answer["images"][token]["state"] for token in tokens]
    expect(states == ["pending", "pending"], f"The images of {path} are {states}, not pending.")


def check_site(address, data, services):
    say("Making two photographs…")
    files = {"image": photograph(0), "detail": photograph(1)}
    browser = Browser(address)

    say("Posting them, for the worker to save…")
    path, sent, answered = browser.post("/photos/add/", {"title": "By the worker"}, files)
    page = browser.get(path).decode()
    if settings.STORAGES["default"]["OPTIONS"]["seconds"] >= 1:
        check_pending(browser, path, page)

    def is_attached():
        expect(not Upload.objects.failed().exists(), "The worker could not save an image.")
        photo = photo_at(path)
        return photo.image and photo.detail

    wait_until(is_attached, services, "the worker puts both images on the photo")
    attached = time.perf_counter()
    say(f"request answered after       {(answered - sent) * 1000:>7,.0f} ms")
    say(f"both images attached after   {(attached - sent) * 1000:>7,.0f} ms")

    wait_until(lambda: not Upload.objects.exists(), services, "no upload is left")
    for folder in ("staging", "incoming"):
        # The bytes go when the transaction that has attached them is through.
        what = f"the folder {folder} is empty"
        wait_until(lambda folder=folder: not files_in(data / folder), services, what)
    check_stored(browser, path, files)
    page = browser.get(path).decode()
    expect(
        'data-state="pending"' not in page, f"The page {path} still says that images are pending."
    )

    say("Posting them again, for Django alone to save…")
    path, sent, answered = browser.post("/plain/add/", {"title": "By Django alone"}, files)
    say(f"the same form, synchronously {(answered - sent) * 1000:>7,.0f} ms")
    check_stored(browser, path, files)

    sizes = " and ".join(f"{len(content) / 1e6:.1f}" for content in files.values())
    say(f"2 images, {sizes} MB: stored byte for byte, no upload left, staging empty.")
