"""An image of 20 MB travels on a network that is cut five times, to each server."""

import asyncio
import re
import shutil
import socket
import subprocess
from contextlib import ExitStack, suppress
from urllib.request import urlopen

import pytest

from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures, services
from tests.browser.conftest import opening
from tests.compatibility.servers import Server
from tests.faults.proxy import Proxy
from tests.project.models import Photo
from tests.worker import DEADLINE, wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # Messages go to a queue without a worker.
    pytest.mark.usefixtures("queue"),
]

FORM = "/fill-in/photo/"
PART = 256 * 1024
#: How many bytes of a part come through before the network is cut, by the number of the part. After
#: the last byte, only the answer is lost.
CUTS = {3: 1, 15: PART // 2, 30: PART - 1, 45: PART, 60: PART}

# By default, only complete bodies of up to 1 MB pass. Django compares the host with the page's.
NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass {address}; proxy_set_header Host $http_host; }}
    }}
}}
"""


class Nginx:
    """nginx with its defaults, before another server."""

    def __init__(self, server, folder):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        conf = folder / "nginx.conf"
        conf.write_text(NGINX.format(folder=folder, port=self.port, address=server.address))
        self._log = folder / "nginx.log"
        self._process = subprocess.Popen(["nginx", "-e", self._log, "-p", folder, "-c", conf])
        wait_until(self._answers, "nginx answers")

    def _answers(self):
        assert self._process.poll() is None, self._log.read_text()
        with suppress(OSError), urlopen(f"http://127.0.0.1:{self.port}{FORM}", timeout=5) as page:
            return page.status == 200

    def close(self):
        self._process.terminate()
        self._process.wait(DEADLINE)


class Network(Proxy):
    """Cuts all connections as ``CUTS`` says, and counts the bytes of the parts."""

    def __init__(self, target):
        self.parts = self.sent = self.cuts = 0
        super().__init__(target)

    async def _connect(self, reader, writer):
        await super()._connect(Requests(reader, self), writer)

    async def cut_now(self):
        self.cuts += 1
        await self._cut()


class Requests:
    """What the browser sends on one connection, read by heads and bodies."""

    def __init__(self, reader, network):
        self._reader = reader
        self._network = network
        self._is_part = False
        self._left = 0
        #: How many bytes of a part are left when the network is cut.
        self._cut_at = None

    async def read(self, size):
        if self._left == self._cut_at:
            # What was read before is with the server.
            await self._network.cut_now()
            return b""
        if not self._left:
            return await self._head()
        data = await self._reader.read(min(size, self._left - (self._cut_at or 0)))
        self._left -= len(data)
        if self._is_part:
            self._network.sent += len(data)
        return data

    async def _head(self):
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return b""
        length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
        self._left = int(length[1]) if length else 0
        self._is_part = head.startswith(b"PATCH")
        self._network.parts += self._is_part
        cut = CUTS.get(self._network.parts) if self._is_part else None
        self._cut_at = None if cut is None else self._left - cut
        return head


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The path of a photo of 20 MB."""
    path = tmp_path_factory.mktemp("images") / "dune.jpg"
    path.write_bytes(pictures.jpeg(5600, 4050))
    assert path.stat().st_size > 20_000_000
    return path


@pytest.fixture(params=["gunicorn", "uvicorn", "nginx"])
def network(request, tmp_path):
    """The way to each server; behind nginx is gunicorn."""
    with ExitStack() as stack:

        def start(made):
            stack.callback(made.close)
            return made

        name = "gunicorn" if request.param == "nginx" else request.param
        pytest.importorskip(name)
        if request.param == "nginx" and not shutil.which("nginx"):
            services.miss("nginx is not on PATH. On Debian: apt install nginx")
        urls = "tests.browser.drafts_site"
        server = start(Server(name, tmp_path / "server.log", urls=urls, page=FORM))
        if request.param == "nginx":
            server = start(Nginx(server, tmp_path))
        yield start(Network(server.port))


@pytest.fixture
def page(chromium, network):
    with opening(chromium, f"http://127.0.0.1:{network.port}") as open_page:
        yield open_page(FORM)
        # Chromium reports the requests that were cut.
        assert all("Failed to load resource" in error for error in open_page.errors)
        open_page.errors.clear()


def test_an_image_is_resumed_at_each_cut_and_no_more_than_a_part_is_sent_twice(
    page, network, image
):
    page.fill("[name=title]", "Dune")
    page.set_input_files("[name=image]", image)
    page.wait_for_selector("[data-state=sent]", timeout=DEADLINE * 1000)
    page.click("form > button")
    page.wait_for_selector("h1 >> text=Thanks")

    assert Upload.objects.count() == 1
    save_pending_uploads()
    assert pictures.stored(Photo.objects.get().image) == image.read_bytes()
    assert network.cuts == 5
    size = image.stat().st_size
    assert size <= network.sent <= size + 5 * PART < 1.07 * size
