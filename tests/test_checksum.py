"""A checksum is taken when an image is staged, and no image whose bytes have changed is stored."""

import hashlib
import io
from io import StringIO

import pytest
from django.core.files.base import ContentFile, File
from django.core.files.storage import InMemoryStorage
from django.core.management import call_command
from django.urls import reverse

from django_async_forms import arrival
from django_async_forms.draft_sender import sender_of
from django_async_forms.drafts import claimable, make_grant
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.grants import Grant, draft_token
from django_async_forms.models import Upload
from django_async_forms.signals import image_failed
from django_async_forms.storage import StagingFileSystemStorage, staging_storage
from django_async_forms.uploads import async_images, save_image
from tests import pictures
from tests.project.models import Photo
from tests.worker import work_on

pytestmark = pytest.mark.django_db(databases=["default", "other"])


class Elsewhere(InMemoryStorage):
    """Stands for a staging storage of another package."""


@pytest.fixture(params=["database", "files", "elsewhere"])
def each_staging(request):
    """Runs the test once with each kind of staging storage."""
    if request.param == "files":
        request.getfixturevalue("location")
    if request.param == "elsewhere":
        request.getfixturevalue("use_staging_storage")(Elsewhere)


class PhotoForm(AsyncImageModelForm):
    class Meta:
        model = Photo
        fields = ["title", "image"]


class Stream(io.RawIOBase):
    """Bytes that can be read once only, such as those of a connection."""

    def __init__(self, data):
        self._data = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._data.readinto(buffer)


def replace_staged(upload, data):
    """Put other bytes in the place of the staged ones, behind the back of the package."""
    storage = staging_storage(upload.using)
    storage.delete(upload.staged)
    assert storage.save(upload.staged, ContentFile(data)) == upload.staged


def rotten(data):
    """Return the bytes of an image with one bit flipped, which Pillow still reads."""
    rotten = bytearray(data)
    rotten[len(data) // 2] ^= 1
    return bytes(rotten)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def files(media):
    return [path for path in media.rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", ["in_memory", "on_disk"])
def test_an_image_with_a_rotten_byte_is_kept_as_failed(each_staging, photo, media, request, kind):
    data = pictures.jpeg()
    upload = save_image(request.getfixturevalue(kind)(data=data), photo)
    replace_staged(upload, rotten(data))

    work_on(upload)

    failed = Upload.objects.failed().get()
    assert failed.attempts == 1
    assert "The staged bytes have changed" in failed.error
    assert sha256(data) in failed.error
    photo.refresh_from_db()
    assert not photo.image
    assert files(media) == []
    with failed.open_staged() as kept:
        assert kept.read() == rotten(data)


def test_an_image_of_which_the_end_is_lost_is_kept_as_failed(each_staging, photo, in_memory):
    data = pictures.jpeg()
    upload = save_image(in_memory(data=data), photo)
    replace_staged(upload, data[:-1])

    work_on(upload)

    assert "The staged bytes have changed" in Upload.objects.failed().get().error


def test_the_old_image_stays_if_the_new_one_has_rotted(old, in_memory):
    before = pictures.bytes_of(old)
    data = pictures.jpeg()
    upload = save_image(in_memory(data=data), old)
    replace_staged(upload, rotten(data))

    work_on(upload)

    assert pictures.bytes_of(old) == before


@pytest.fixture
def failed(new_upload):
    """An upload whose bytes have rotted."""
    data = pictures.jpeg()
    upload = new_upload(data=data)
    replace_staged(upload, rotten(data))
    work_on(upload)
    return Upload.objects.failed().get()


def test_image_failed_is_sent_for_a_rotten_image(new_upload, connect):
    data = pictures.jpeg()
    upload = new_upload(data=data)
    replace_staged(upload, rotten(data))
    errors = []

    def note(upload, **kwargs):
        errors.append(upload.error)

    connect(image_failed, note)
    work_on(upload)

    (error,) = errors
    assert "The staged bytes have changed" in error


def test_the_command_lists_a_rotten_image_with_its_error(failed):
    out = StringIO()

    call_command("async_uploads", "list", "--failed", stdout=out)

    assert "The staged bytes have changed" in out.getvalue()


def test_the_admin_shows_a_rotten_image_with_its_error(failed, admin_client):
    address = reverse("admin:django_async_forms_upload_change", args=[failed.pk])

    assert "The staged bytes have changed" in admin_client.get(address).content.decode()


def test_a_rotten_image_that_is_retried_fails_once_more(failed):
    assert failed.retry()

    work_on(failed)

    assert "The staged bytes have changed" in Upload.objects.failed().get().error


def test_a_rotten_image_is_attached_by_a_retry_once_its_file_is_restored(
    each_staging, photo, in_memory
):
    data = pictures.jpeg()
    upload = save_image(in_memory(data=data), photo)
    replace_staged(upload, rotten(data))
    work_on(upload)
    replace_staged(upload, data)
    assert Upload.objects.get().retry()

    work_on(upload)

    assert pictures.bytes_of(photo) == data


# What has a checksum


def with_form(image):
    form = PhotoForm({"title": "Dune"}, {"image": image})
    assert form.is_valid(), form.errors
    form.save()


def with_block(image):
    with async_images(Photo):
        Photo.objects.create(title="Dune", image=image)


def with_call(image):
    save_image(image, Photo.objects.create(title="Dune"))


@pytest.mark.parametrize("save", [with_form, with_block, with_call])
@pytest.mark.parametrize("kind", ["in_memory", "on_disk"])
def test_each_way_to_stage_an_image_takes_its_checksum(each_staging, save, request, kind):
    data = pictures.jpeg()

    save(request.getfixturevalue(kind)(data=data))

    assert Upload.objects.get().sha256 == sha256(data)


def test_a_text_has_the_checksum_of_its_bytes(photo):
    upload = save_image(ContentFile("Düne", name="dune.txt"), photo)

    work_on(upload)

    assert upload.sha256 == sha256("Düne".encode())
    assert pictures.bytes_of(photo) == "Düne".encode()


def test_a_stream_that_can_be_read_once_only_is_attached_without_a_checksum(photo):
    data = pictures.jpeg()
    upload = save_image(File(Stream(data), name="dune.jpg"), photo)

    work_on(upload)

    assert upload.sha256 == ""
    assert pictures.bytes_of(photo) == data


def test_an_upload_of_a_version_without_checksums_is_attached(each_staging, photo, in_memory):
    data = pictures.jpeg()
    upload = save_image(in_memory(data=data), photo)
    Upload.objects.update(sha256="")

    work_on(upload)

    assert pictures.bytes_of(photo) == data


# Drafts


@pytest.fixture
def visit(rf):
    """The request of a visitor, who has a session."""
    request = rf.get("/")
    request.session = {}
    return request


@pytest.fixture
def send(visit):
    """Sends an image early; returns it as the file that a form claims."""

    def send(data):
        grant = Grant.loads(make_grant(visit, "project.photo.image"))
        draft = arrival.create(
            grant, sender_of(visit), name="dune.jpg", content_type="image/jpeg", size=len(data)
        )
        arrival.fill(draft, ContentFile(data))
        arrival.check(draft)
        return claimable(visit, draft_token(draft.pk, draft.using))

    return send


def test_a_draft_that_has_rotted_since_it_arrived_is_kept_as_failed(each_staging, photo, send):
    data = pictures.jpeg()
    claimed = send(data)
    replace_staged(claimed.draft, rotten(data))

    upload = save_image(claimed, photo)
    work_on(upload)

    assert "The staged bytes have changed" in Upload.objects.failed().get().error


def test_a_claim_takes_the_checksum_of_its_draft_and_reads_no_byte(
    location, photo, send, monkeypatch
):
    data = pictures.jpeg()
    claimed = send(data)
    monkeypatch.setattr(StagingFileSystemStorage, "_open", lambda *args: pytest.fail("It reads."))

    assert save_image(claimed, photo).sha256 == sha256(data)


# FlushingFileUploadHandler


@pytest.fixture
def arrived(settings, tmp_path, rf):
    """Posts an image as a browser does; returns the file that the handler has received."""
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    settings.FILE_UPLOAD_HANDLERS = ["django_async_forms.uploadhandler.FlushingFileUploadHandler"]
    posted = []

    def arrive(data):
        posted.append(rf.post("/", {"image": ContentFile(data, name="dune.jpg")}))
        return posted[-1].FILES["image"]

    yield arrive
    for request in posted:
        request.close()


def test_an_image_whose_checksum_was_taken_as_it_arrived_is_not_read_again(
    location, photo, arrived, monkeypatch
):
    data = pictures.jpeg()
    uploaded = arrived(data)
    monkeypatch.setattr(File, "chunks", lambda *args: pytest.fail("It reads."))

    assert save_image(uploaded, photo).sha256 == sha256(data)


def test_an_image_that_was_changed_after_it_arrived_has_the_checksum_of_its_bytes(
    each_staging, photo, arrived
):
    uploaded, data = arrived(pictures.jpeg()), pictures.jpeg()
    uploaded.truncate(0)
    uploaded.write(data)

    upload = save_image(uploaded, photo)
    work_on(upload)

    assert upload.sha256 == sha256(data)
    assert pictures.bytes_of(photo) == data


# The setting


@pytest.fixture
def off(settings):
    settings.ASYNC_FORMS = {"CHECKSUM": False}


@pytest.mark.usefixtures("off")
def test_no_checksum_is_taken_with_the_setting_off(photo, in_memory, arrived, send):
    assert save_image(in_memory(), photo).sha256 == ""
    assert save_image(arrived(pictures.jpeg()), photo).sha256 == ""
    assert save_image(send(pictures.jpeg()), photo).sha256 == ""


@pytest.mark.usefixtures("off")
def test_with_the_setting_off_nobody_notices_a_rotten_byte(each_staging, photo, in_memory):
    data = pictures.jpeg()
    upload = save_image(in_memory(data=data), photo)
    replace_staged(upload, rotten(data))

    work_on(upload)

    assert pictures.bytes_of(photo) == rotten(data)


def test_a_worker_with_the_setting_off_compares_no_checksum(photo, in_memory, settings):
    data = pictures.jpeg()
    upload = save_image(in_memory(data=data), photo)
    replace_staged(upload, rotten(data))
    settings.ASYNC_FORMS = {"CHECKSUM": False}

    work_on(upload)

    assert pictures.bytes_of(photo) == rotten(data)
