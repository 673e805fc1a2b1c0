"""Clients of the tus protocol send drafts, and go on after the server was killed."""

import io
import json
import subprocess

import pytest

from django_async_forms.test import save_pending_uploads
from tests import pictures, services
from tests.browser.firefox import RUN
from tests.compatibility.servers import Server
from tests.drafts import Page, draft_at, staged_bytes
from tests.project.models import Photo
from tests.worker import DEADLINE

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.drafts"),
    # Messages go to a queue without a worker.
    pytest.mark.usefixtures("queue"),
]

CHUNK = 64 * 1024


@pytest.fixture(scope="module", params=["gunicorn", "uvicorn"])
def server(request, tmp_path_factory, django_db_setup):
    pytest.importorskip(request.param)
    server = Server(request.param, tmp_path_factory.mktemp(request.param) / "server.log")
    yield server
    server.close()


@pytest.fixture
def page(client):
    return Page(client)


@pytest.fixture
def headers(page):
    """What a script of the page sends along."""
    cookies = page.client.cookies
    return {
        "Cookie": "; ".join(f"{name}={cookie.value}" for name, cookie in cookies.items()),
        "X-CSRFToken": cookies["csrftoken"].value,
    }


@pytest.fixture
def image(tmp_path):
    """The path of a photo of some 500 KB."""
    path = tmp_path / "dune.jpg"
    path.write_bytes(pictures.jpeg(600, 400))
    return path


def assert_saved(page, address, path):
    """Check that the draft arrived as it was, and that the form of the page saves it."""
    address = address.partition("//")[2].partition("/")[2]
    assert staged_bytes(f"/{address}") == path.read_bytes()
    assert page.submit(f"/{address}").status_code == 302
    save_pending_uploads()
    assert pictures.stored(Photo.objects.get().image) == path.read_bytes()


# tuspy


@pytest.fixture
def tuspy(server, page, headers):
    """The client that tuspy has for the endpoint."""
    client = pytest.importorskip("tusclient.client")
    return client.TusClient(server.address + page.endpoint, headers=headers)


def uploader(tuspy, page, path, **options):
    metadata = {"grant": page.grant, "filename": path.name, "filetype": "image/jpeg"}
    options = {"chunk_size": CHUNK, "metadata": metadata, **options}
    # Not by its path: tuspy does not close the files that it opens.
    return tuspy.uploader(file_stream=io.BytesIO(path.read_bytes()), **options)


@pytest.mark.parametrize("has_checksum", [False, True], ids=["without checksum", "with checksum"])
def test_tuspy_sends_a_draft(tuspy, page, image, has_checksum):
    sending = uploader(tuspy, page, image, upload_checksum=has_checksum)

    sending.upload()

    assert_saved(page, sending.url, image)


def test_tuspy_goes_on_after_the_server_was_killed(tuspy, server, page, image):
    sending = uploader(tuspy, page, image)
    for _ in range(3):
        sending.upload_chunk()
    server.restart()

    again = uploader(tuspy, page, image, url=sending.url)
    assert again.offset == 3 * CHUNK
    again.upload()

    assert_saved(page, sending.url, image)


def test_tuspy_is_told_that_a_file_is_refused(tuspy, page, image):
    image.write_bytes(pictures.noise(CHUNK // 2))
    exceptions = pytest.importorskip("tusclient.exceptions")

    with pytest.raises(exceptions.TusCommunicationError) as caught:
        uploader(tuspy, page, image).upload()

    assert caught.value.status_code == 422
    assert caught.value.response_content.startswith(b"Upload a valid image.")


# Clients of pages


@pytest.fixture(params=["tus-js-client", "uppy"])
def script(request, server, page, headers, image):
    """Starts a script that sends the image; returns its process."""
    if subprocess.run([RUN, "install"], check=False).returncode:
        services.miss("tests/javascript/run cannot install Node and its packages")
    started = []

    def start(**options):
        options = {
            "endpoint": server.address + page.endpoint,
            "path": str(image),
            "name": image.name,
            "type": "image/jpeg",
            "grant": page.grant,
            "headers": headers,
            **options,
        }
        command = [RUN, "node", RUN.parent / "tus.mjs", request.param, json.dumps(options)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return (json.loads(line) for line in process.stdout)

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=DEADLINE)


@pytest.mark.parametrize("size", [{"chunkSize": CHUNK}, {}], ids=["in parts", "in one request"])
def test_a_script_sends_a_draft(script, page, image, size):
    *_, last = script(**size)

    assert "url" in last, last
    assert_saved(page, last["url"], image)


def test_a_script_goes_on_after_the_server_was_killed(script, server, page, image):
    sent = []
    for event in script(chunkSize=CHUNK):
        sent.append(event.get("sent"))
        if sent == [CHUNK, 2 * CHUNK]:
            server.restart()
        last = event

    assert "url" in last, last
    # Nothing that the server had told to have arrived was sent again. The part that was travelling
    # may have arrived without an answer, and is then not among what was sent.
    *ends, nothing = sent
    assert nothing is None
    assert ends == sorted(set(ends))
    assert set(ends) <= {*range(CHUNK, image.stat().st_size, CHUNK), image.stat().st_size}
    assert ends[-1] == image.stat().st_size
    assert_saved(page, last["url"], image)


def test_a_script_is_told_that_a_file_is_refused(script, image):
    image.write_bytes(pictures.noise(CHUNK // 2))

    *_, last = script()

    assert "response code: 422, response text: Upload a valid image." in last["error"]


def test_a_script_is_told_that_it_may_not_send(script):
    *_, last = script(grant="forged")

    assert "response code: 403, response text: The grant is missing, invalid" in last["error"]


def test_a_script_begins_anew_after_its_draft_was_claimed(script, page, image):
    *_, first = script()
    assert_saved(page, first["url"], image)

    *_, second = script()

    assert second["url"] != first["url"]
    assert draft_at(second["url"]).is_complete
