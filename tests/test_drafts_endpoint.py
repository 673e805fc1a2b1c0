"""The endpoint for drafts: the tus protocol 1.0, as its clients see it."""

import base64
import hashlib
import io
import socket
import threading
from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest
from django.core.files.storage import InMemoryStorage
from django.db import connections
from django.forms import FileField, ImageField
from django.utils import timezone, translation

from django_async_forms import arrival
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Draft, StoredChunk, Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.drafts import HiddenPhotoView, Page, draft_at, staged_bytes, token_in, written
from tests.project.models import Photo
from tests.worker import DEADLINE, wait_until

pytestmark = [
    pytest.mark.django_db(databases=["default", "other"]),
    pytest.mark.urls("tests.drafts"),
]

#: More bytes than are written at once.
LARGE = 2 * arrival.PART + 1000


class Whole(InMemoryStorage):
    """A staging storage that takes no parts, such as an object store's."""


@pytest.fixture
def whole(use_staging_storage):
    use_staging_storage(Whole)


@pytest.fixture(params=["database", "files", "whole"])
def each_staging(request):
    """Runs the test with each staging storage."""
    if request.param != "database":
        request.getfixturevalue("location" if request.param == "files" else "whole")


@pytest.fixture
def page(client):
    return Page(client)


@pytest.fixture
def files_page(client):
    """A page that sends files of any kind."""
    return Page(client, "/grant/letters/")


def sum_of(data, algorithm="sha1"):
    digest = hashlib.new(algorithm, data).digest()
    return f"{algorithm} {base64.b64encode(digest).decode()}"


# What the endpoint can do


def test_the_endpoint_tells_what_it_can_do(page, settings):
    settings.ASYNC_FORMS = {"MAX_BYTES": 5_000_000}

    response = page.client.options(page.endpoint)

    assert response.status_code == 200
    assert response["Tus-Resumable"] == response["Tus-Version"] == "1.0.0"
    assert response["Tus-Extension"] == (
        "creation,creation-with-upload,expiration,termination,checksum"
    )
    assert response["Tus-Checksum-Algorithm"] == "sha1,sha256"
    assert response["Tus-Max-Size"] == "5000000"
    assert response["Allow"] == "POST, OPTIONS"


def test_the_endpoint_without_limits_tells_no_size(page, settings):
    settings.ASYNC_FORMS = {"MAX_DRAFT_BYTES": None}

    assert "Tus-Max-Size" not in page.client.options(page.endpoint)


def test_the_address_of_a_draft_tells_its_methods(page):
    address = page.begin(1000)

    assert page.client.options(address)["Allow"] == "GET, PATCH, DELETE, HEAD, OPTIONS"


@pytest.mark.parametrize("version", [None, "0.2.2", "1.0"])
def test_another_version_of_the_protocol_is_refused(page, version):
    address = page.begin(1000)

    for method in ("POST", "HEAD", "PATCH", "DELETE"):
        target = page.endpoint if method == "POST" else address
        response = page.call(method, target, tus_resumable=version)

        assert response.status_code == 412, method
        assert response["Tus-Version"] == response["Tus-Resumable"] == "1.0.0"
    assert draft_at(address)


def test_the_endpoint_for_new_drafts_shows_nothing(page):
    assert page.client.get(page.endpoint).status_code == 405


# A draft arrives


def test_a_draft_is_made_with_an_address_and_an_expiry(page):
    response = page.create(1000)

    assert response.status_code == 201
    assert response["Location"].startswith(f"{page.endpoint}")
    assert response["Location"].endswith("/")
    assert response["Upload-Offset"] == "0"
    assert response["Cache-Control"] == "no-store"
    expires_in = parsedate_to_datetime(response["Upload-Expires"]) - timezone.now()
    assert timedelta(hours=23, minutes=59) < expires_in <= timedelta(hours=24)


def test_a_draft_that_has_arrived_is_what_the_form_saves(page, each_staging):
    data = pictures.jpeg()

    address = page.begin(len(data))
    response = page.send(address, data)

    assert response.status_code == 204
    assert response["Upload-Offset"] == str(len(data))
    assert page.submit(address).status_code == 302
    assert draft_at(address) is None
    save_pending_uploads()
    photo = Photo.objects.get()
    assert pictures.stored(photo.image) == data
    assert photo.image.name == "photos/dune.jpg"


def test_a_draft_arrives_in_parts(page, staging):
    data = pictures.jpeg()
    address = page.begin(len(data))

    for offset in range(0, len(data), 1000):
        response = page.send(address, data[offset : offset + 1000], offset)
        assert response.status_code == 204
        assert response["Upload-Offset"] == str(min(offset + 1000, len(data)))

    assert staged_bytes(address) == data
    assert draft_at(address).is_checked


def test_a_body_of_any_length_arrives_in_one_request(files_page, each_staging):
    data = pictures.noise(LARGE)

    address = files_page.send_all(data)

    assert staged_bytes(address) == data


def test_a_draft_is_noted_with_what_the_field_has_found(page, each_staging):
    data = pictures.jpeg(64, 48)

    draft = draft_at(page.send_all(data, metadata={"filetype": "text/html"}))

    assert (draft.format, draft.width, draft.height) == ("JPEG", 64, 48)
    assert draft.content_type == "image/jpeg"
    assert draft.sha256 == hashlib.sha256(data).hexdigest()


def test_a_draft_comes_with_its_creation(page, each_staging):
    data = pictures.jpeg()

    response = page.create(len(data), data)

    assert response.status_code == 201
    assert response["Upload-Offset"] == str(len(data))
    assert staged_bytes(response["Location"]) == data
    assert draft_at(response["Location"]).is_checked


def test_the_beginning_of_a_draft_comes_with_its_creation(page, staging):
    data = pictures.jpeg()

    response = page.create(len(data), data[:500])
    assert response["Upload-Offset"] == "500"

    assert page.send(response["Location"], data[500:], 500).status_code == 204
    assert staged_bytes(response["Location"]) == data


def test_an_empty_part_changes_nothing(page, each_staging):
    data = pictures.jpeg()
    address = page.begin(len(data))

    response = page.send(address, b"", 0)
    assert response.status_code == 204
    assert response["Upload-Offset"] == "0"

    assert page.send(address, data).status_code == 204
    assert staged_bytes(address) == data
    assert page.send(address, b"", len(data)).status_code == 204


def test_an_empty_file_is_refused_at_once_by_a_field_that_takes_none(page, each_staging):
    response = page.create(0)

    assert response.status_code == 422
    assert response.content.decode() == "The submitted file is empty."
    assert not Draft.objects.exists()


def test_names_may_have_the_keys_of_other_clients(page):
    metadata = {"filename": "", "filetype": "", "name": "reef.jpg", "type": "image/x-reef"}

    draft = draft_at(page.begin(10, metadata=metadata))

    assert (draft.name, draft.content_type) == ("reef.jpg", "image/x-reef")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("C:\\photos\\dune.jpg", "dune.jpg"),
        ("../../etc/dune.jpg", "dune.jpg"),
        ("d\0u\r\nn\u202ee.jpg", "dune.jpg"),
        ("Zürich 東京.jpg", "Zürich 東京.jpg"),
        ("..", "file"),
        ("", "file"),
    ],
    ids=ascii,
)
def test_a_draft_is_named_as_a_file_in_a_form(page, sent, kept):
    assert draft_at(page.begin(10, name=sent)).name == kept


def test_a_draft_for_another_database_is_kept_there(files_page, monkeypatch):
    monkeypatch.setattr("tests.project.routers.Router.db_for_write", lambda *args, **kw: "other")
    page = Page(files_page.client, "/grant/letters/")

    address = page.send_all(b"Dear")

    assert Draft.objects.using("other").get().is_checked
    assert page.head(address)["Upload-Offset"] == "4"


# How far it is


def test_a_client_asks_how_far_a_draft_is(page, each_staging):
    address = page.begin(1000, metadata={"filetype": "image/jpeg"})

    response = page.head(address)

    assert response.status_code == 200
    assert response["Upload-Offset"] == "0"
    assert response["Upload-Length"] == "1000"
    assert response["Cache-Control"] == "no-store"
    assert "Upload-Expires" in response
    name, kind = (base64.b64encode(text).decode() for text in (b"dune.jpg", b"image/jpeg"))
    assert response["Upload-Metadata"] == f"filename {name},filetype {kind}"


def test_a_client_goes_on_where_the_draft_is(page, staging):
    data = pictures.jpeg()
    address = page.begin(len(data))
    page.send(address, data[:700])

    offset = int(page.head(address)["Upload-Offset"])
    assert offset == 700

    page.send(address, data[offset:], offset)
    assert staged_bytes(address) == data


@pytest.mark.parametrize("method", ["HEAD", "PATCH"])
def test_a_draft_whose_process_ended_before_the_check_is_checked_later(page, method, monkeypatch):
    address = complete_but_unchecked(page, monkeypatch, pictures.jpeg())
    assert not draft_at(address).is_checked

    response = page.head(address) if method == "HEAD" else page.send(address, b"", size_of(address))

    assert response.status_code in (200, 204)
    assert draft_at(address).is_checked


@pytest.mark.parametrize("method", ["HEAD", "PATCH"])
def test_a_draft_whose_process_ended_before_it_was_refused_is_refused_later(
    page, method, monkeypatch
):
    address = complete_but_unchecked(page, monkeypatch, pictures.noise(1000))

    response = page.head(address) if method == "HEAD" else page.send(address, b"", 1000)

    assert response.status_code == 422
    assert draft_at(address) is None


def complete_but_unchecked(page, monkeypatch, data):
    def end(draft):
        raise SystemExit("The process ends.")

    address = page.begin(len(data))
    with monkeypatch.context() as patched:
        patched.setattr(arrival, "check", end)
        with pytest.raises(SystemExit):
            page.send(address, data)
    return address


def size_of(address):
    return draft_at(address).size


# What keeps a draft


def test_each_part_extends_the_time_that_a_draft_is_kept(page, each_staging):
    data = pictures.jpeg()
    address = page.begin(len(data))
    soon = timezone.now() + timedelta(minutes=1)
    Draft.objects.update(expires_at=soon)

    page.send(address, data)

    assert draft_at(address).expires_at > soon + timedelta(hours=23)


def test_an_expired_draft_is_gone(page):
    data = pictures.jpeg()
    address = page.send_all(data)
    Draft.objects.update(expires_at=timezone.now())

    for method in ("HEAD", "PATCH", "DELETE", "GET"):
        assert page.call(method, address).status_code == 404


def test_a_claimed_draft_is_gone(page):
    address = page.send_all(pictures.jpeg())
    page.submit(address)

    for method in ("HEAD", "PATCH", "DELETE", "GET"):
        assert page.call(method, address).status_code == 404
    assert Upload.objects.exists()


def test_a_sender_removes_a_draft_with_its_bytes(
    page, each_staging, django_capture_on_commit_callbacks
):
    data = pictures.jpeg()
    address = page.send_all(data)
    draft = draft_at(address)

    with django_capture_on_commit_callbacks(execute=True):
        assert page.remove(address).status_code == 204

    assert draft_at(address) is None
    assert page.head(address).status_code == 404
    with pytest.raises(FileNotFoundError):
        draft.open_staged()
    assert not StoredChunk.objects.exists()


def test_a_draft_that_arrives_while_it_is_removed_is_busy(page, monkeypatch):
    address = page.begin(1000)
    discard = Draft.discard

    def discard_after_a_part(draft):
        draft.row().update(expires_at=timezone.now() + timedelta(days=2))
        return discard(draft)

    with monkeypatch.context() as patched:
        patched.setattr(Draft, "discard", discard_after_a_part)
        assert page.remove(address).status_code == 423

    assert page.remove(address).status_code == 204


# Refused by the field


def test_a_file_that_the_field_refuses_is_told_in_the_forms_words(
    page, each_staging, django_capture_on_commit_callbacks
):
    data = pictures.noise(1000)
    address = page.begin(len(data))
    draft = draft_at(address)

    with django_capture_on_commit_callbacks(execute=True):
        response = page.send(address, data)

    assert response.status_code == 422
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response.content.decode().startswith("Upload a valid image.")
    assert draft_at(address) is None
    with pytest.raises(FileNotFoundError):
        draft.open_staged()


class PhotoForm(AsyncImageModelForm):
    """Its image is checked by Django's ``ImageField``."""

    class Meta:
        model = Photo
        fields = ["title", "image"]


def test_a_draft_is_checked_by_the_field_of_a_form_that_was_made_at_run_time(client, monkeypatch):
    made = type("MadeForm", (PhotoForm,), {"image": FileField()})
    monkeypatch.setattr(HiddenPhotoView, "get_form_class", lambda view: made)
    page = Page(client, "/hidden/")

    address = page.send_all(pictures.noise(1000))

    assert draft_at(address).is_checked


def test_a_refused_file_is_told_in_the_language_of_the_page(page, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    data = pictures.noise(1000)
    address = page.begin(len(data))

    with translation.override("en"):  # The middleware leaves its own language active.
        response = page.again().send(address, data, accept_language="de")

    with translation.override("de"):  # Django's words differ from version to version.
        expected = str(ImageField.default_error_messages["invalid_image"])
    assert "Bild" in expected
    assert response.content.decode() == expected


def test_a_file_over_the_projects_limit_is_refused_before_it_is_sent(page, settings):
    settings.ASYNC_FORMS = {"MAX_BYTES": 1000}
    page = Page(page.client)

    response = page.create(2000)

    assert response.status_code == 413
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response.content.decode() == "This file is 2.0\xa0KB; the limit is 1000\xa0bytes."
    assert not Draft.objects.exists()


def test_a_format_that_the_project_does_not_take_is_refused_after_the_last_byte(page, settings):
    settings.ASYNC_FORMS = {"FORMATS": ["PNG"]}
    data = pictures.jpeg()
    address = page.begin(len(data))

    response = page.send(address, data)

    assert response.status_code == 422
    assert "PNG" in response.content.decode()


@pytest.mark.parametrize(
    "limits",
    [
        {"MAX_DRAFTS": 2},
        {"MAX_DRAFT_BYTES": 2500},
        {"MAX_DRAFTS_IN_ALL": 2},
        {"MAX_DRAFT_BYTES_IN_ALL": 2500},
        {"MAX_BACKLOG": 2},
    ],
    ids=str,
)
def test_too_many_drafts_are_refused_in_words(page, settings, limits):
    settings.ASYNC_FORMS = limits
    first = page.begin(1000)
    page.begin(1000)

    response = page.create(1000)

    assert response.status_code == 429
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response.content.decode().startswith("Too many images")
    assert Draft.objects.count() == 2
    page.remove(first)
    assert page.create(1000).status_code == 201


# Requests that make no sense


@pytest.mark.parametrize("size", [None, "", "-1", "+1", "1.5", "1_0", "ten", "9" * 19])
def test_a_draft_needs_a_length(page, size):
    assert page.create(size).status_code == 400
    assert not Draft.objects.exists()


def test_a_length_cannot_be_deferred(page):
    assert page.create(None, upload_defer_length=1).status_code == 400


@pytest.mark.parametrize("metadata", ["filename ü", "filename a", "filename $$$$"], ids=ascii)
def test_metadata_that_cannot_be_read_is_refused(page, metadata):
    response = page.call("POST", page.endpoint, upload_length=10, upload_metadata=metadata)

    assert response.status_code == 400


@pytest.mark.parametrize("content_type", ["", "image/jpeg", "application/octet-stream"])
def test_bytes_of_another_content_type_are_refused(page, content_type):
    address = page.begin(1000)

    assert page.send(address, b"a" * 10, 0, content_type).status_code == 415
    assert draft_at(address).received == 0


def test_bytes_of_another_content_type_are_refused_with_the_creation(page):
    response = page.call(
        "POST",
        page.endpoint,
        b"a" * 10,
        "image/jpeg",
        upload_length=1000,
        upload_metadata=written({"grant": page.grant}),
    )

    assert response.status_code == 415
    assert not Draft.objects.exists()


def test_a_body_of_unknown_length_is_refused(page):
    address = page.begin(1000)

    response = page.send(address, b"", transfer_encoding="chunked", content_length=None)

    assert response.status_code == 411


def test_a_body_of_unknown_length_is_refused_with_the_creation(page):
    response = page.create(1000, transfer_encoding="chunked", content_length=None)

    assert response.status_code == 411
    assert not Draft.objects.exists()


@pytest.mark.parametrize("offset", [None, "", "-1", "x"])
def test_a_part_needs_an_offset(page, offset):
    address = page.begin(1000)

    assert page.send(address, b"a" * 10, offset).status_code == 400
    assert draft_at(address).received == 0


@pytest.mark.parametrize("offset", [0, 99, 101, 1000, 10**17])
def test_a_part_for_another_offset_is_a_conflict(page, staging, offset):
    address = page.begin(1000, b"a" * 100)

    response = page.send(address, b"b" * 10, offset)

    assert response.status_code == 409
    assert response["Upload-Offset"] == "100"
    assert staged_bytes(address) == b"a" * 100


def test_more_bytes_than_announced_are_refused(page, each_staging):
    address = page.begin(1000)

    assert page.send(address, b"a" * 1001).status_code == 413
    assert draft_at(address).received == 0


def test_more_bytes_than_announced_are_refused_with_the_creation(page, each_staging):
    assert page.create(1000, b"a" * 1001).status_code == 413
    assert not Draft.objects.exists()


def test_a_storage_that_takes_no_parts_takes_the_whole_file_only(page, whole):
    address = page.begin(1000)

    assert page.send(address, b"a" * 999).status_code == 400
    assert draft_at(address).received == 0
    assert page.create(1000, b"a" * 10).status_code == 400
    assert Draft.objects.count() == 1


# Checksums


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_bytes_with_their_checksum_arrive(page, each_staging, algorithm):
    data = pictures.jpeg()
    address = page.begin(len(data))

    response = page.send(address, data, upload_checksum=sum_of(data, algorithm))

    assert response.status_code == 204
    assert staged_bytes(address) == data


def test_a_large_body_with_its_checksum_arrives(files_page, each_staging):
    data = pictures.noise(LARGE)
    address = files_page.begin(len(data))

    assert files_page.send(address, data, upload_checksum=sum_of(data)).status_code == 204
    assert staged_bytes(address) == data


def test_bytes_with_another_checksum_are_not_kept(page, each_staging):
    data = pictures.jpeg()
    address = page.begin(len(data))

    response = page.send(address, data, upload_checksum=sum_of(data[::-1]))

    assert response.status_code == 460
    assert response.reason_phrase == "Checksum Mismatch"
    assert draft_at(address).received == 0
    assert page.send(address, data, upload_checksum=sum_of(data)).status_code == 204


def test_a_creation_with_another_checksum_makes_no_draft(page, each_staging):
    data = pictures.jpeg()

    response = page.create(len(data), data, upload_checksum=sum_of(b""))

    assert response.status_code == 460
    assert not Draft.objects.exists()


@pytest.mark.parametrize("checksum", ["md5 abcd", "sha1", "sha1 $", "sha1 ", " ", "shake_128 abcd"])
def test_a_checksum_that_cannot_be_verified_is_refused(page, checksum):
    address = page.begin(1000)

    response = page.send(address, b"a" * 1000, upload_checksum=checksum)

    assert response.status_code in (400, 460)
    assert draft_at(address).received == 0


# A connection that is cut


def cut(page, address, data, length, method="PATCH", **headers):
    """Send fewer bytes than announced, as a server passes on a body whose connection was cut."""
    return page.client.generic(
        method,
        address,
        data,
        "application/offset+octet-stream",
        CONTENT_LENGTH=str(length),
        HTTP_TUS_RESUMABLE="1.0.0",
        HTTP_UPLOAD_OFFSET="0",
        **headers,
        **{"wsgi.input": io.BytesIO(data)},
    )


def test_the_bytes_before_a_cut_are_kept(files_page, staging):
    data = pictures.noise(LARGE)
    address = files_page.begin(len(data))

    response = cut(files_page, address, data[:-500], len(data))

    assert response.status_code == 400
    assert response["Upload-Offset"] == files_page.head(address)["Upload-Offset"]
    assert staged_bytes(address) == data[:-500]
    response = files_page.send(address, data[-500:], LARGE - 500)
    assert response.status_code == 204
    assert staged_bytes(address) == data


def test_nothing_is_kept_of_a_cut_body_with_a_checksum(files_page, each_staging):
    data = pictures.noise(LARGE)
    address = files_page.begin(len(data))

    response = cut(
        files_page, address, data[:-500], len(data), HTTP_UPLOAD_CHECKSUM=sum_of(data[:-500])
    )

    assert response.status_code == 400
    assert draft_at(address).received == 0


def test_a_storage_that_takes_no_parts_keeps_nothing_of_a_cut_body(files_page, whole):
    data = pictures.noise(LARGE)
    address = files_page.begin(len(data))

    assert cut(files_page, address, data[:-500], len(data)).status_code == 400
    assert files_page.head(address)["Upload-Offset"] == "0"
    assert files_page.send(address, data).status_code == 204


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_the_bytes_before_a_connection_is_cut_are_kept_by_a_server(page, live_server, staging):
    data = pictures.jpeg(300, 300)
    address = page.begin(len(data))
    host, port = live_server.thread.host, live_server.thread.port
    session, token = (page.client.cookies[name].value for name in ("sessionid", "csrftoken"))

    with socket.create_connection((host, port)) as connected:
        connected.sendall(
            "\r\n".join(
                [
                    f"PATCH {address} HTTP/1.1",
                    f"Host: {host}",
                    "Tus-Resumable: 1.0.0",
                    "Upload-Offset: 0",
                    "Content-Type: application/offset+octet-stream",
                    f"Content-Length: {len(data)}",
                    f"Cookie: sessionid={session}; csrftoken={token}",
                    f"X-CSRFToken: {token}",
                    "",
                    "",
                ]
            ).encode()
        )
        connected.sendall(data[:5000])

    wait_until(lambda: draft_at(address).received == 5000, "the bytes are kept")
    assert page.send(address, data[5000:], 5000).status_code == 204
    assert staged_bytes(address) == data


# Two requests at once


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_one_of_two_parts_for_one_offset_arrives(page, staging):
    data = pictures.jpeg()
    address = page.begin(len(data))
    ready, answers = threading.Barrier(2), []

    def send():
        other = page.again()
        ready.wait(DEADLINE)
        answers.append(other.send(address, data).status_code)
        connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)

    assert sorted(answers) in ([204, 409], [204, 413])
    assert staged_bytes(address) == data
    assert draft_at(address).is_checked


# What a project has around it


def test_atomic_requests_keep_no_transaction_open_while_a_body_comes(settings):
    from django_async_forms import tus

    for view in (tus.drafts_view, tus.draft_view):
        assert view._non_atomic_requests == {"default", "other"}
        assert view.login_required is False


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_with_atomic_requests_the_bytes_before_a_cut_are_kept(files_page, monkeypatch):
    for alias in connections:
        monkeypatch.setitem(connections[alias].settings_dict, "ATOMIC_REQUESTS", True)
    data = pictures.noise(LARGE)
    address = files_page.begin(len(data))

    cut(files_page, address, data[:-500], len(data))

    assert draft_at(address).received == LARGE - 500


def test_a_login_page_never_answers_a_client(settings, page):
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    settings.LOGIN_URL = "/admin/login/"
    page = page.again()
    data = pictures.jpeg()

    address = page.begin(len(data))

    assert page.send(address, data).status_code == 204
    assert page.look(address).status_code == 200
    assert page.client.get("/photo/add/").status_code == 302


def test_the_endpoint_checks_for_forged_requests_as_the_project_does(page):
    page = page.again(enforce_csrf_checks=True)
    token = page.client.cookies["csrftoken"].value
    data = pictures.jpeg()

    assert page.create(len(data)).status_code == 403
    address = page.begin(len(data), x_csrftoken=token)
    assert page.head(address).status_code == 200
    assert page.send(address, data).status_code == 403
    assert page.remove(address).status_code == 403

    assert page.send(address, data, x_csrftoken=token).status_code == 204


def test_a_body_larger_than_djangos_limit_for_forms_arrives(files_page, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    data = pictures.noise(50_000)

    assert staged_bytes(files_page.send_all(data)) == data


def test_a_draft_is_logged_by_its_id_only(page, caplog):
    caplog.set_level("INFO", "django_async_forms")
    address = page.send_all(pictures.jpeg(), name="secret.jpg")
    draft = draft_at(address)
    page.remove(address)

    text = caplog.text
    assert f"Draft {draft.pk}: begun for project.photo.image." in text
    assert f"Draft {draft.pk}: complete." in text
    assert f"Draft {draft.pk}: removed by its sender." in text
    assert "secret" not in text
    assert token_in(address) not in text


def test_a_draft_whose_bytes_are_lost_is_gone(page, location):
    data = pictures.jpeg()
    address = page.begin(len(data), data[:1000])
    (location / draft_at(address).staged).unlink()

    assert page.send(address, data[1000:], 1000).status_code == 404
    assert draft_at(address) is None


def test_a_part_costs_the_same_queries_whatever_the_length_of_the_draft(
    files_page, django_assert_num_queries
):
    address = files_page.begin(10 * LARGE)
    # The session, the draft, and a transaction with the offset and a look for rows after it. The
    # INSERT of the storage is not counted.
    with django_assert_num_queries(6):
        files_page.send(address, b"a" * 1000)
    with django_assert_num_queries(6):
        files_page.send(address, b"a" * 1000, 1000)
