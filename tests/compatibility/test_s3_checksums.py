"""django-storages: an image that changes on its way to S3 is refused there, and sent again."""

import base64
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from django_async_forms.models import Upload
from django_async_forms.uploads import save_image
from tests import pictures
from tests.project.models import Photo
from tests.worker import work_on

from . import libraries

libraries.need("django-storages")

from storages.backends.s3 import S3Storage  # noqa: E402

pytestmark = pytest.mark.django_db


class Store(BaseHTTPRequestHandler):
    """As much of S3 as one image needs. Unlike moto, it compares the checksum."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer(404)

    def do_PUT(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.arrivals_to_spoil:
            self.server.arrivals_to_spoil -= 1
            data = data[:-1] + bytes([data[-1] ^ 1])
        found = base64.b64encode(hashlib.sha256(data).digest()).decode()
        if self.headers["x-amz-checksum-sha256"] != found:
            return self.answer(400, b"<Error><Code>BadDigest</Code></Error>")
        self.server.objects.append(data)
        return self.answer(200)

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Print nothing."""


@pytest.fixture
def store(use_final_storage):
    """A local server that takes images; ``objects`` are their bytes."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        server.arrivals_to_spoil, server.objects = 0, []
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        use_final_storage(
            S3Storage,
            bucket_name="photosite",
            endpoint_url=f"http://127.0.0.1:{server.server_port}",
            region_name="eu-west-1",
            access_key="nobody",
            secret_key="nothing",
            object_parameters={"ChecksumAlgorithm": "SHA256"},
        )
        yield server
        server.shutdown()
        thread.join()


def test_s3_compares_the_checksum_of_an_upload(store, photo, in_memory):
    upload = save_image(in_memory(), photo)

    work_on(upload)

    (data,) = store.objects
    assert hashlib.sha256(data).hexdigest() == upload.sha256


def test_an_image_that_changes_on_its_way_to_s3_is_sent_again(store, photo, in_memory):
    data = pictures.jpeg()
    upload = save_image(in_memory(data=data), photo)
    store.arrivals_to_spoil = 1

    work_on(upload)

    assert store.objects == [data]
    assert Photo.objects.get(pk=photo.pk).image
    assert not Upload.objects.exists()
