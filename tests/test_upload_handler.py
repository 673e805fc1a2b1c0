"""``FlushingFileUploadHandler`` makes the disk write an upload while it arrives."""

import ctypes
import os
import platform
import re
import sys
from contextlib import ExitStack

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import RequestFactory

from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.project.models import Photo

#: The number of the system call (on every architecture), and the first Linux with it.
CACHESTAT, SINCE = 451, (6, 5)


@pytest.fixture(autouse=True)
def handler(settings, tmp_path):
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    settings.FILE_UPLOAD_HANDLERS = ["django_async_forms.uploadhandler.FlushingFileUploadHandler"]


@pytest.fixture
def received():
    """Posts bytes as a browser does, and returns the file that a view finds in request.FILES."""
    with ExitStack() as requests:

        def post(data):
            request = RequestFactory().post("/", {"image": SimpleUploadedFile("dune.jpg", data)})
            requests.callback(request.close)
            return request.FILES["image"]

        yield post


def waiting_for_the_disk(file):
    """Return the number of pages of a file that Linux has not begun to write."""

    class Counts(ctypes.Structure):
        _fields_ = [
            (name, ctypes.c_uint64)
            for name in ("cached", "dirty", "writeback", "evicted", "recently_evicted")
        ]

    counts, everything = Counts(), (ctypes.c_uint64 * 2)(0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(CACHESTAT, file.fileno(), everything, ctypes.byref(counts), 0):
        raise OSError(ctypes.get_errno(), "cachestat")
    return counts.dirty


def linux():
    """Return the version of the running Linux, or (0, 0)."""
    version = re.match(r"(\d+)\.(\d+)", platform.release() if sys.platform == "linux" else "")
    return tuple(map(int, version.groups())) if version else (0, 0)


@pytest.mark.parametrize("size", [0, 1, 100_000, 1024 * 1024, 3_500_000])
def test_an_upload_arrives_whole(received, size):
    data = os.urandom(size)

    uploaded = received(data)

    assert (uploaded.name, uploaded.size, uploaded.read()) == ("dune.jpg", size, data)


@pytest.mark.skipif(linux() < SINCE, reason="Only Linux 6.5 and newer tells what waits.")
def test_the_disk_has_begun_to_write_every_byte_when_the_view_begins(received):
    assert waiting_for_the_disk(received(os.urandom(3_500_000))) == 0


@pytest.mark.django_db
def test_a_form_saves_an_upload_of_the_handler(client, location):
    data = pictures.jpeg()

    image = SimpleUploadedFile("dune.jpg", data, "image/jpeg")
    client.post("/photos/add/", {"title": "Dune", "image": image})
    save_pending_uploads()

    assert pictures.stored(Photo.objects.get().image) == data
