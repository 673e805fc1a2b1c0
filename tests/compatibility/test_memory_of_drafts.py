"""The memory of a web server stays flat, however large the draft that arrives."""

from urllib.request import Request, urlopen

import pytest

from tests.compatibility.servers import Server
from tests.drafts import Page, draft_at, written
from tests.worker import DEADLINE

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.drafts")]

MB = 1024 * 1024
SIZE = 200 * MB


@pytest.fixture(params=["gunicorn", "uvicorn"])
def server(request, tmp_path):
    pytest.importorskip(request.param)
    server = Server(request.param, tmp_path / "server.log")
    yield server
    server.close()


class Zeros:
    """A body of so many bytes, which takes no memory."""

    def __init__(self, size):
        self._left = size

    def read(self, size):
        size = min(size, self._left)
        self._left -= size
        return bytes(size)


def test_a_draft_of_200_mb_needs_no_memory(server, client):
    page = Page(client, "/grant/letters/")
    client.get("/photo/add/")
    cookies = client.cookies
    headers = {
        "Tus-Resumable": "1.0.0",
        "Cookie": "; ".join(f"{name}={cookie.value}" for name, cookie in cookies.items()),
        "X-CSRFToken": cookies["csrftoken"].value,
    }

    def send(method, address, body, length, **more):
        every = {**headers, "Content-Length": str(length), **more}
        request = Request(server.address + address, body, every, method=method)
        return urlopen(request, timeout=10 * DEADLINE)

    def arrive(size):
        metadata = written({"grant": page.grant, "filename": "zeros", "filetype": "a/b"})
        more = {"Upload-Length": str(size), "Upload-Metadata": metadata}
        with send("POST", page.endpoint, b"", 0, **more) as response:
            address = response.headers["Location"]
        more = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        with send("PATCH", address, Zeros(size), size, **more) as response:
            assert response.status == 204
        return draft_at(address)

    arrive(MB)  # What is loaded once does not count.
    server.forget_memory()
    before = server.memory()

    draft = arrive(SIZE)

    assert draft.is_checked
    assert draft.received == SIZE
    assert server.memory() - before < 64 * MB
