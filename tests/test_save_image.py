"""``save_image()``, for views without the form mixin."""

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import FieldDoesNotExist, SuspiciousFileOperation
from django.core.files.base import ContentFile, File
from django.db import transaction

from django_async_forms.attach import PermanentError
from django_async_forms.codec import reconstruct
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import asave_image, save_image
from tests import pictures
from tests.both import async_form
from tests.project.models import Coded, Document, Elsewhere, Measured, Photo, Restaurant, Slugged

pytestmark = pytest.mark.django_db


def test_an_image_is_pending_and_then_saved(photo, in_memory, staging):
    data = pictures.jpeg()

    upload = save_image(in_memory(data=data), photo)

    assert isinstance(upload, Upload)
    assert Upload.objects.for_instance(photo, "image").get() == upload
    save_pending_uploads()
    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data
    assert not Upload.objects.exists()


def test_asynchronous_code_saves_an_image(photo, in_memory):
    upload = async_to_sync(asave_image)(in_memory(), photo, "image")

    assert Upload.objects.for_instance(photo, "image").get() == upload


def test_the_field_defaults_to_the_one_that_the_upload_names(in_memory):
    upload = save_image(in_memory(field_name="cover"), Measured.objects.create(title="Dune"))

    assert upload.field_name == "cover"


def test_the_field_defaults_to_the_only_image_field(in_memory):
    document = Document.objects.create(title="Deed")

    assert save_image(in_memory(field_name="form-0-picture"), document).field_name == "scan"


def test_the_field_of_a_model_with_two_images_must_be_given(in_memory):
    measured = Measured.objects.create(title="Dune")

    with pytest.raises(ValueError, match=r"image, cover.*Pass field_name"):
        save_image(in_memory(), measured)


def test_a_plain_file_field_can_be_named(in_memory):
    document = Document.objects.create(title="Deed")

    save_image(in_memory("deed.txt", b"whereas"), document, "file")
    save_pending_uploads()

    document.refresh_from_db()
    assert pictures.stored(document.file) == b"whereas"


def test_a_field_that_is_not_a_file_field_is_refused(photo, in_memory):
    for name in ("title", "nothing"):
        with pytest.raises(FieldDoesNotExist, match=f"{name}.*file fields: image"):
            save_image(in_memory(), photo, name)


def deleted_photo():
    photo = Photo.objects.create(title="Dune")
    photo.delete()
    return photo


@pytest.mark.parametrize(
    "make",
    [lambda: Photo(title="Dune"), lambda: Slugged(slug="dune"), deleted_photo],
    ids=["new", "new with a key", "deleted"],
)
def test_an_instance_that_is_not_saved_is_refused(make, in_memory):
    with pytest.raises(ValueError, match="Save the instance first"):
        save_image(in_memory(), make())

    assert not Upload.objects.exists()


@pytest.mark.parametrize(
    "make", [ContentFile, lambda data, name: File(pictures.as_file(data), name)], ids=str
)
def test_a_file_that_the_project_made_is_saved(photo, make):
    data = pictures.jpeg()

    save_image(make(data, "made.jpg"), photo)
    save_pending_uploads()

    photo.refresh_from_db()
    assert photo.image.name == "photos/made.jpg"
    assert pictures.stored(photo.image) == data


def test_a_file_without_a_name_is_refused_immediately(photo):
    with pytest.raises(ValueError, match="has no name"):
        save_image(ContentFile(pictures.jpeg()), photo)


@pytest.mark.django_db(databases=["default", "other"])
def test_an_upload_is_kept_in_the_database_that_its_instance_is_written_to(
    photo, in_memory, settings
):
    settings.DATABASE_ROUTERS = ["tests.test_save_image.Replicated"]
    photo._state.db = "other"  # As if it had been read from a replica.

    upload = save_image(in_memory(), photo)

    assert upload.using == "default"
    assert Upload.objects.for_instance(photo).get() == upload


def test_a_pending_upload_for_the_same_field_is_superseded(photo, in_memory, staging):
    save_image(in_memory(), photo)
    newer = save_image(in_memory(), photo)

    assert Upload.objects.get() == newer


# After a form that clears


@pytest.fixture
def measured(in_memory):
    return Measured.objects.create(title="Old", image=in_memory("old.jpg"))


def clear(measured=None):
    data = {"title": "Dune", "image-clear": "on"}
    return async_form(Measured, data, {}, measured, ["title", "image"]).save()


def change_the_title(measured):
    return async_form(Measured, {"title": "Dune"}, {}, measured, ["title", "image"])


def clear_a_new_one(measured):
    return clear()


def clear_and_save_another_form(measured):
    return change_the_title(clear(measured)).save()


@pytest.mark.parametrize("use", [clear, clear_a_new_one, clear_and_save_another_form])
def test_an_image_is_newer_than_a_form_that_cleared(use, measured, in_memory):
    data = pictures.jpeg()
    measured = use(measured)
    save_image(in_memory(data=data), measured, "image")
    measured.save()
    save_pending_uploads()

    assert pictures.bytes_of(measured) == data


@pytest.mark.django_db(transaction=True)
def test_an_image_is_newer_than_a_form_that_has_committed_beside_another(measured, in_memory):
    data = pictures.jpeg()
    with transaction.atomic():
        change_the_title(clear(measured)).save(commit=False)
    save_image(in_memory(data=data), measured, "image")
    measured.save()
    save_pending_uploads()

    assert pictures.bytes_of(measured) == data


class Replicated:
    """A router that writes to the first database and reads from the second."""

    def db_for_read(self, model, **hints):
        return "other"

    def db_for_write(self, model, **hints):
        return "default"


def test_a_child_and_its_parent_share_the_uploads_for_their_field(in_memory):
    restaurant = Restaurant.objects.create(name="Arrakeen")
    first = save_image(in_memory(), restaurant, "image")
    assert Upload.objects.for_instance(restaurant.place_ptr).get() == first

    second = save_image(in_memory(), restaurant.place_ptr, "image")

    assert Upload.objects.for_instance(restaurant).get() == second


@pytest.mark.django_db(databases=["default", "other"])
def test_an_upload_is_kept_in_the_database_of_its_instance(in_memory):
    elsewhere = Elsewhere.objects.create(title="Dune")

    upload = save_image(in_memory(), elsewhere)

    assert not Upload.objects.using("default").exists()
    assert Upload.objects.for_instance(elsewhere).get() == upload
    assert save_pending_uploads(using="other") == 1
    elsewhere.refresh_from_db()
    assert elsewhere.image.name == "elsewhere/dune.jpg"


def test_keys_that_differ_only_in_case_are_two_instances(in_memory):
    small, large = Coded.objects.create(code="a"), Coded.objects.create(code="A")

    first = save_image(in_memory(), small)
    second = save_image(in_memory(), large)

    assert Upload.objects.for_instance(small).get() == first
    assert Upload.objects.for_instance(large).get() == second


def test_a_path_that_no_storage_takes_for_a_name_is_refused_immediately(photo, tmp_path):
    path = tmp_path / "dune.jpg"
    path.write_bytes(pictures.jpeg())

    with path.open("rb") as file, pytest.raises(SuspiciousFileOperation, match=r"dune\.jpg"):
        save_image(File(file), photo)

    assert not Upload.objects.exists()


def test_an_image_can_be_copied_from_another_instance(photo, in_memory, staging):
    data = pictures.jpeg()
    photo.image.save("dune.jpg", pictures.as_file(data))
    copy = Photo.objects.create(title="Copy")

    with photo.image.open() as file:
        save_image(File(file, name="copy.jpg"), copy)
    save_pending_uploads()

    copy.refresh_from_db()
    assert copy.image.name == "photos/copy.jpg"
    assert pictures.stored(copy.image) == data


def test_a_content_type_that_a_database_may_not_like_is_kept(photo, rf, staging):
    # The client chooses these bytes.
    body = (
        b"--x\r\nContent-Disposition: form-data; name=image; filename=dune.jpg\r\n"
        b"Content-Type: image/jpeg\x00; charset=x\x00; foo=a\x00b\r\n\r\n"
        + pictures.jpeg()
        + b"\r\n--x--\r\n"
    )
    uploaded = rf.post("/", body, content_type="multipart/form-data; boundary=x").FILES["image"]
    assert "\x00" in uploaded.content_type

    upload = save_image(uploaded, photo)

    with upload.open_staged() as staged, reconstruct(Upload.objects.get().file, staged) as rebuilt:
        assert rebuilt.content_type == uploaded.content_type
        assert rebuilt.content_type_extra == uploaded.content_type_extra


def test_no_file_is_stored_for_an_instance_that_somebody_else_has_deleted(
    photo, in_memory, media, staging
):
    Photo.objects.filter(pk=photo.pk).delete()
    upload = save_image(in_memory(), photo)

    with pytest.raises(PermanentError, match=r"There is no project\.photo"):
        save_pending_uploads()

    assert Upload.objects.get() == upload
    assert not Photo.objects.exists()
    assert not media.exists()
