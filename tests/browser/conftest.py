"""A real browser, which looks at the pages of ``site`` while real workers save the images."""

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client, override_settings
from pytest_django.live_server_helper import LiveServer

from tests import pictures, services
from tests.browser import firefox
from tests.worker import DEADLINE

if os.environ.get("TEST_DATABASE", "sqlite") != "sqlite":
    # What a browser shows does not depend on the database, so one of them is enough.
    collect_ignore_glob = ["test_*.py"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
#: Root may not use Chromium's sandbox, and it must not talk to anybody but the pages.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# No longer than its module: Playwright's loop runs in this thread, where others start their own.
@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        services.miss("there is no chromium on PATH")
    from playwright.sync_api import expect, sync_playwright

    # Playwright's loop runs in this thread, in which the tests ask the database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    expect.set_options(timeout=DEADLINE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="session")
def node_modules():
    """What npm installs for tests: the site serves it, as /node_modules/htmx2/dist/htmx.min.js."""
    if subprocess.run([firefox.RUN, "install"], check=False).returncode:
        services.miss("tests/javascript/run cannot install Node and its packages")


@pytest.fixture
def broker_name():
    """One broker is enough too: the one that is always there."""
    return "filesystem"


@pytest.fixture(scope="module")
def live_server(request):
    """A server of the module's own, because one reads its middleware when it starts."""
    policy = getattr(request.module, "POLICY", "tests.browser.site.content_security_policy")
    with override_settings(MIDDLEWARE=[*settings.MIDDLEWARE, policy]):
        server = LiveServer("localhost")
    yield server
    server.stop()


@pytest.fixture
def site(settings, shared_media):
    """Has the live server serve the pages of ``site``, as it would in production."""
    settings.ROOT_URLCONF = "tests.browser.site"
    settings.DEBUG = False
    templates = [{**settings.TEMPLATES[0]}]
    templates[0]["DIRS"] = [Path(__file__).parent / "templates"]
    settings.TEMPLATES = templates


def _is_error(message):
    # A form that is sent before the preview of its draft is there has used the draft up by then.
    is_late = "/uploads/drafts/" in message.location["url"] and "404" in message.text
    return message.type == "error" and not is_late


@contextmanager
def opening(browser, base_url):
    """Open pages; at the end, none of them may have broken its policy or a script."""
    contexts, errors = [], []

    def open_page(address, **options):
        context = browser.new_context(base_url=base_url, **options)
        context.set_default_timeout(DEADLINE * 1000)
        context.route("**/favicon.ico", lambda route: route.fulfill(status=204))
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: _is_error(message) and errors.append(message.text))
        page.goto(address)
        return page

    open_page.errors = errors
    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def pages(chromium, live_server, site):
    """Opens pages of the site."""
    with opening(chromium, live_server.url) as open_page:
        yield open_page


@pytest.fixture
def picture(tmp_path):
    """A real image as a file to choose; returns its path."""

    def make(name="dune.jpg", data=None):
        path = tmp_path / name
        path.write_bytes(data or pictures.jpeg(320, 240))
        return path

    return make


@pytest.fixture
def logged_in(transactional_db, settings):
    """What an admin's browser has: the cookie of a session."""
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("admin"))
    value = client.cookies[settings.SESSION_COOKIE_NAME].value
    return {"name": settings.SESSION_COOKIE_NAME, "value": value}


@contextmanager
def requests_of(page, part):
    """Collect the requests of a page whose address has ``part`` in it."""
    seen = []

    def note(request):
        if part in request.url:
            seen.append(request)

    page.on("request", note)
    yield seen
    page.remove_listener("request", note)


def watch_shifts(page):
    """Have a page note in ``shifts`` how much moves from now on."""
    page.evaluate(
        """() => {
            window.shifts = [];
            new PerformanceObserver((list) => {
                shifts.push(...list.getEntries().map((entry) => entry.value));
            }).observe({ type: "layout-shift" });
        }"""
    )
