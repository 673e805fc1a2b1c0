"""
Many images with one name, as a phone sends them, become as many files, each with its own bytes.

A worker that stores an image is interrupted by another, which stores an image with the same name.
At that moment, a storage that looks for a free name and then stores has found the same name for
both. No file is removed that anything else uses.
"""

import hashlib
import itertools
from functools import partial
from pathlib import PurePosixPath

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, InMemoryStorage, Storage
from django.db import connection, transaction
from django.db.models.signals import post_save
from django.forms import modelformset_factory

from django_async_forms.attach import PermanentError, attach
from django_async_forms.final_storage import NameReservedError
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import NotPendingError, Upload
from django_async_forms.retries import record_failure
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.both import async_form, form_for
from tests.habits.models import Thumbnailed
from tests.project.models import Album, Document, OnlyImages, Photo, Slugged, Triptych
from tests.threads import Meanwhile, at_the_same_moment, work_in_threads
from tests.worker import wait_until, work_on

pytestmark = pytest.mark.django_db(transaction=True)

#: The functions that the storages of this file call before and after they store the next image.
before, after = [], []


def then(functions):
    if functions:
        functions.pop(0)()


class Bucket(Storage):
    """Looks for a free name, and then stores. It overwrites an existing file."""

    contents = {}

    def exists(self, name):
        return name in self.contents

    def _save(self, name, content):
        data = content.read()
        then(before)
        self.contents[name] = data
        then(after)
        return name

    def _open(self, name, mode="rb"):
        return ContentFile(self.contents[name], name)

    def size(self, name):
        return len(self.contents[name])

    def delete(self, name):
        self.contents.pop(name, None)

    def url(self, name):
        return name


class Folder(FileSystemStorage):
    """Django's own: the second of two simultaneous saves finds another name as it stores."""

    def _save(self, name, content):
        then(before)
        name = super()._save(name, content)
        then(after)
        return name


class Taken(FileSystemStorage):
    """Django's own, and another worker stores after it has found a free name."""

    def exists(self, name):
        is_there = super().exists(name)
        then(before)
        return is_there


class Overwriting(Folder):
    """Overwrites the file of a name."""

    def __init__(self, **kwargs):
        super().__init__(allow_overwrite=True, **kwargs)


class Clearing(Folder):
    """Makes a name available by deleting its file, as in a common recipe."""

    def get_available_name(self, name, max_length=None):
        self.delete(name)
        return name


class ByContent(Folder):
    """Names a file by its content, so that equal files are stored once."""

    def _save(self, name, content):
        digest = hashlib.sha256()
        for chunk in content.chunks():
            digest.update(chunk)
        content.seek(0)
        name = f"files/{digest.hexdigest()}{PurePosixPath(name).suffix}"
        then(before)
        if not self.exists(name):
            name = FileSystemStorage._save(self, name, content)
        then(after)
        return name


class Forgetful(InMemoryStorage):
    """Cannot tell whether a name is taken, like a store that allows writing but not reading."""

    def exists(self, name):
        return False


@pytest.fixture(autouse=True)
def nothing_waits():
    before.clear()
    after.clear()
    Bucket.contents.clear()


racing = pytest.mark.parametrize(
    "storage", [Bucket, Folder, Taken], ids=["bucket", "folder", "Django's"]
)


def work_at_the_same_time(moment, uploads):
    """Start the worker of each upload when the worker of the one before it stores."""
    first, *others = uploads
    moment.extend(partial(work_on, upload) for upload in others)
    work_on(first)
    while Upload.objects.pending().exists():
        save_pending_uploads()


at_any_moment = pytest.mark.parametrize("moment", [before, after], ids=["before", "after"])


def files(media):
    return sorted(path for path in media.rglob("*") if path.is_file())


def post_photo(data, name="image.jpg", instance=None):
    file = ContentFile(data, name=name)
    photo = async_form(Photo, {"title": "Dune"}, {"image": file}, instance).save()
    return photo, Upload.objects.for_instance(photo).get()


# N images with one name become N files


@racing
@at_any_moment
def test_the_images_of_one_form_have_one_name(storage, moment, use_final_storage, in_memory):
    use_final_storage(storage)
    data = {side: pictures.jpeg() for side in ("left", "middle", "right")}
    async_form(Triptych, {}, {side: in_memory("image.jpg", data[side]) for side in data}).save()

    work_at_the_same_time(moment, Upload.objects.order_by("created_at"))

    triptych = Triptych.objects.get()
    assert {side: pictures.stored(getattr(triptych, side)) for side in data} == data
    assert len({getattr(triptych, side).name for side in data}) == 3


@racing
@at_any_moment
def test_the_images_of_one_formset_have_one_name(storage, moment, use_final_storage, in_memory):
    use_final_storage(storage)
    data = [pictures.jpeg() for _ in range(3)]
    posted = {"form-TOTAL_FORMS": 3, "form-INITIAL_FORMS": 0}
    posted |= {f"form-{number}-title": "Dune" for number in range(3)}
    images = {f"form-{n}-image": in_memory("image.jpg", one) for n, one in enumerate(data)}
    formset_class = modelformset_factory(Photo, form=AsyncImageModelForm, fields=["title", "image"])
    formset_class(posted, images, queryset=Photo.objects.none()).save()

    work_at_the_same_time(moment, Upload.objects.order_by("created_at"))

    found = Photo.objects.order_by("pk")
    assert [pictures.stored(photo.image) for photo in found] == data
    assert len({photo.image.name for photo in found}) == 3


@racing
@at_any_moment
def test_the_images_of_many_requests_have_one_name(storage, moment, use_final_storage):
    use_final_storage(storage)
    data = [pictures.jpeg(16, 12) for _ in range(5)]
    work_at_the_same_time(moment, [post_photo(one)[1] for one in data])

    found = Photo.objects.order_by("pk")
    assert [pictures.stored(photo.image) for photo in found] == data
    assert len({photo.image.name for photo in found}) == 5


def test_large_images_of_one_name_are_moved_to_as_many_files(use_final_storage, on_disk):
    use_final_storage(Taken)
    data = [pictures.jpeg(16, 12) for _ in range(3)]
    for one in data:
        async_form(Photo, {"title": "Dune"}, {"image": on_disk("image.jpg", one)}).save()

    work_at_the_same_time(before, Upload.objects.order_by("created_at"))

    found = Photo.objects.order_by("pk")
    assert [pictures.stored(photo.image) for photo in found] == data
    assert len({photo.image.name for photo in found}) == 3


@at_any_moment
def test_the_images_of_two_models_have_one_name_and_one_folder(
    moment, use_final_storage, in_memory
):
    use_final_storage(Bucket)
    data = [pictures.jpeg(), pictures.jpeg()]
    images = {"front": in_memory("image.jpg", data[0]), "back": in_memory("image.jpg", data[1])}
    only = async_form(OnlyImages, {}, images).save()

    work_at_the_same_time(moment, Upload.objects.order_by("-created_at"))

    only.refresh_from_db()
    assert [pictures.stored(only.front), pictures.stored(only.back)] == data


def test_simultaneous_requests_with_one_name_become_as_many_files(use_final_storage):
    use_final_storage(Bucket)
    data = [pictures.jpeg(16, 12) for _ in range(6)]
    work_in_threads(work_on, [post_photo(one)[1] for one in data])
    wait_until(lambda: save_pending_uploads() == 0, "what was in the way of another is attached")

    assert [pictures.stored(photo.image) for photo in Photo.objects.order_by("pk")] == data


def test_an_attempt_that_fails_leaves_the_image_that_another_has_stored_meanwhile(
    use_final_storage,
):
    use_final_storage(Bucket)
    data = [pictures.jpeg(), pictures.jpeg()]
    (_, first), (_, second) = [post_photo(one) for one in data]

    def other_then_fail():
        work_on(second)
        raise OSError("the storage is away")

    before.append(other_then_fail)
    work_on(first)

    assert [pictures.stored(photo.image) for photo in Photo.objects.order_by("pk")] == data


def test_an_overwriting_storage_stores_one_image_of_a_name_after_the_other(
    use_final_storage, media
):
    use_final_storage(Overwriting)
    data = [pictures.jpeg(), pictures.jpeg()]
    (_, first), (_, second) = [post_photo(one) for one in data]

    def second_meanwhile():
        with pytest.raises(NameReservedError):
            attach(Upload.objects.start(second.pk))

    before.append(second_meanwhile)
    work_on(first)
    work_on(second)

    assert not Upload.objects.exists()
    assert {photo.image.name for photo in Photo.objects.all()} == {"photos/image.jpg"}
    assert [path.read_bytes() for path in files(media)] == [data[1]]


@at_any_moment
def test_a_storage_that_clears_the_name_ends_with_one_of_the_images(
    moment, use_final_storage, media
):
    use_final_storage(Clearing)
    data = [pictures.jpeg(), pictures.jpeg()]
    work_at_the_same_time(moment, [post_photo(one)[1] for one in data])

    assert not Upload.objects.exists()
    for photo in Photo.objects.all():
        assert pictures.stored(photo.image) in data


def test_a_storage_that_cannot_look_stores_all_the_same(base, use_final_storage, in_memory):
    use_final_storage(Forgetful)
    form_for(base, Photo, {"title": "Dune"}, {"image": in_memory()}).save()
    save_pending_uploads()

    assert Photo.objects.get().image.name == "photos/dune.jpg"


def test_a_storage_that_names_by_content_keeps_equal_images_once(base, use_final_storage, media):
    use_final_storage(ByContent)
    data = pictures.jpeg()
    for _ in range(2):
        file = ContentFile(data, name="image.jpg")
        form_for(base, Photo, {"title": "Dune"}, {"image": file}).save()
    save_pending_uploads()

    assert [pictures.stored(photo.image) for photo in Photo.objects.all()] == [data, data]
    assert len(files(media)) == 1


# Files that anything else uses are never removed


def supersede(photo):
    post_photo(pictures.jpeg(), "newer.jpg", Photo.objects.get(pk=photo.pk))


def fail(photo):
    raise OSError("the storage is away")


def another_waits():
    """Tell whether a statement on another connection waits for a lock."""
    statement = {
        "postgresql": "SELECT count(*) FROM pg_locks WHERE NOT granted",
        "mysql": "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'",
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return int(cursor.fetchone()[-1]) > 0


@pytest.mark.skipif(connection.vendor == "sqlite", reason="Only one transaction writes at a time")
def test_a_name_is_not_free_when_the_upload_that_has_reserved_it_is_superseded(use_final_storage):
    use_final_storage(Bucket)
    data = pictures.jpeg()
    (photo, first), (other, second) = post_photo(pictures.jpeg()), post_photo(data)

    def supersede_while_the_other_looks_for_a_name():
        with transaction.atomic():
            supersede(photo)
            meanwhile = Meanwhile(partial(work_on, second))
            wait_until(another_waits, "the other worker waits for the name")
        meanwhile.wait()

    before.append(partial(at_the_same_moment, supersede_while_the_other_looks_for_a_name))
    work_on(first)

    other.refresh_from_db()
    assert pictures.stored(other.image) == data


@pytest.mark.skipif(connection.vendor == "sqlite", reason="Only one transaction writes at a time")
def test_a_form_and_a_worker_that_reserves_another_name_do_not_deadlock():
    photo, upload = post_photo(pictures.jpeg())
    upload.reserve("photos/first.jpg")

    with transaction.atomic():
        Upload.objects.select_for_update().get(pk=upload.pk)
        meanwhile = Meanwhile(partial(upload.reserve, "photos/second.jpg"))
        wait_until(another_waits, "the worker waits for the upload")
        supersede(photo)

    with pytest.raises(NotPendingError):
        meanwhile.wait()


@pytest.mark.parametrize("error", [OSError("away"), PermanentError("gone")], ids=["one", "last"])
def test_an_attempt_that_fails_late_leaves_the_name_of_the_next_attempt_reserved(error):
    (_, upload), (_, other) = post_photo(pictures.jpeg()), post_photo(pictures.jpeg())
    slow = Upload.objects.start(upload.pk)
    slow.reserve("photos/first.jpg")
    Upload.objects.start(upload.pk).reserve("photos/second.jpg")

    record_failure(slow, error)

    assert not other.reserve("photos/second.jpg")


@pytest.mark.parametrize("attempts", [1, 2], ids=["one of two", "two of two"])
def test_the_name_of_an_attempt_that_was_killed_goes_to_no_other_image(attempts, settings):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 2}
    (_, upload), (_, other) = post_photo(pictures.jpeg()), post_photo(pictures.jpeg())
    for _ in range(attempts):
        killed = Upload.objects.start(upload.pk)
    killed.reserve("photos/first.jpg")

    work_on(upload)

    assert not other.reserve("photos/first.jpg")


class Contended(FileSystemStorage):
    """Another process takes a name as soon as it is free."""

    def delete(self, name):
        super().delete(name)
        then(after)


def test_an_attempt_that_fails_deletes_its_file_only_once(
    connect, use_final_storage, settings, media, on_disk
):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
    use_final_storage(Contended)
    async_form(Photo, {"title": "Dune"}, {"image": on_disk("image.jpg")}).save()
    of_another = media / "photos" / "image.jpg"

    def refuse(**kwargs):
        after.append(partial(of_another.write_bytes, b"another"))
        raise OSError("the search engine is away")

    connect(post_save, refuse, Photo)
    work_on(Upload.objects.get())

    assert of_another.read_bytes() == b"another"


def delete(photo):
    Photo.objects.filter(pk=photo.pk).delete()


def empty(photo):
    Photo.objects.filter(pk=photo.pk).update(image="photos/nowhere.jpg")


ENDS = [supersede, fail, delete, empty]
however_it_ends = pytest.mark.parametrize("end", ENDS)


def own_row():
    return Photo.objects.create(title="Kept", image=ContentFile(SHARED, name="kept.jpg")).image


def other_model():
    return Slugged.objects.create(slug="kept", image=ContentFile(SHARED, name="kept.jpg")).image


def other_kind_of_field():
    return Document.objects.create(title="Kept", file=ContentFile(SHARED, name="kept.jpg")).file


def no_row_at_all():
    album = Album(cover=ContentFile(SHARED, name="kept.jpg"))
    album.cover.save("kept.jpg", ContentFile(SHARED, name="kept.jpg"), save=False)
    return album.cover


SHARED = pictures.jpeg(seed=1)
USERS = [own_row, other_model, other_kind_of_field, no_row_at_all]


@however_it_ends
@pytest.mark.parametrize("user", USERS)
def test_a_file_of_equal_bytes_stays_however_an_attempt_ends(
    user, end, use_final_storage, settings
):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
    use_final_storage(ByContent)
    kept = user()
    photo, upload = post_photo(SHARED)
    after.append(partial(end, photo))

    work_on(upload)

    assert pictures.stored(kept) == SHARED


@however_it_ends
def test_a_file_of_equal_bytes_that_another_worker_has_just_stored_stays(
    end, use_final_storage, settings
):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
    use_final_storage(ByContent)
    (first, first_upload), (second, second_upload) = [post_photo(SHARED) for _ in range(2)]
    # The first has stored the file but not attached it when the second stores it and ends.
    after.extend([partial(work_on, second_upload), partial(end, second)])

    work_on(first_upload)

    first.refresh_from_db()
    assert pictures.stored(first.image) == SHARED


@however_it_ends
def test_a_file_of_equal_bytes_that_another_worker_attaches_meanwhile_stays(
    end, use_final_storage, settings
):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
    use_final_storage(ByContent)
    (first, first_upload), (second, second_upload) = [post_photo(SHARED) for _ in range(2)]

    def other_first():
        work_on(second_upload)
        end(first)

    after.append(other_first)
    work_on(first_upload)

    second.refresh_from_db()
    assert pictures.stored(second.image) == SHARED


@however_it_ends
@pytest.mark.parametrize("storage", [Overwriting, Clearing])
def test_a_file_that_is_overwritten_stays_however_an_attempt_ends(
    storage, end, use_final_storage, settings
):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
    use_final_storage(storage)
    kept = Photo.objects.create(title="Kept", image=ContentFile(SHARED, name="image.jpg"))
    photo, upload = post_photo(pictures.jpeg())
    after.append(partial(end, photo))

    work_on(upload)

    assert kept.image.storage.exists(kept.image.name)


@pytest.mark.parametrize("storage", [Bucket, Folder, Overwriting, Clearing])
def test_a_storage_is_not_asked_for_the_name_of_an_image_that_is_superseded(
    storage, use_final_storage, in_memory
):
    use_final_storage(storage)
    kept = Photo.objects.create(title="Kept", image=ContentFile(SHARED, name="image.jpg"))
    photo, _ = post_photo(pictures.jpeg())
    _, newer = post_photo(pictures.jpeg(), "newer.jpg", Photo.objects.get(pk=photo.pk))

    work_on(newer)

    assert pictures.stored(kept.image) == SHARED


def test_an_old_image_stays_in_the_storage_when_a_new_one_replaces_it(
    base, use_final_storage, in_memory, media
):
    use_final_storage(Folder)
    old = Photo.objects.create(title="Old", image=in_memory("old.jpg"))
    form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    save_pending_uploads()

    assert [path.name for path in files(media)] == ["new.jpg", "old.jpg"]


def test_a_cleared_image_stays_in_the_storage(base, use_final_storage, in_memory, media):
    use_final_storage(Folder)
    OnlyImages.objects.create(front=in_memory("front.jpg"))
    form = form_for(
        base, OnlyImages, {"front-clear": "on"}, {}, OnlyImages.objects.get(), ["front"]
    )
    form.save()

    assert not OnlyImages.objects.get().front
    assert [path.name for path in files(media)] == ["front.jpg"]


def test_an_image_with_the_name_of_the_old_one_leaves_the_old_file_when_it_fails(
    use_final_storage, settings, media
):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
    use_final_storage(Folder)
    old = Photo.objects.create(title="Old", image=ContentFile(SHARED, name="image.jpg"))
    photo, upload = post_photo(pictures.jpeg(), instance=old)
    after.append(partial(fail, photo))

    work_on(upload)

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == SHARED


# Files that an attempt has stored and that nothing uses are removed


@racing
def test_a_file_that_an_attempt_has_stored_is_removed_when_save_fails(
    connect, storage, use_final_storage, settings, media
):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
    use_final_storage(storage)
    _, upload = post_photo(pictures.jpeg())

    def refuse(**kwargs):
        raise OSError("the search engine is away")

    connect(post_save, refuse, Photo)
    work_on(upload)

    assert Upload.objects.failed().exists()
    assert not Bucket.contents
    assert not files(media)


def test_a_thumbnail_that_an_attempt_has_stored_is_removed_with_its_image(
    connect, use_final_storage, settings, media, in_memory
):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 3}
    use_final_storage(Folder)
    failures = itertools.count()

    def refuse(created, **kwargs):
        if not created:
            next(failures)
            raise OSError("the search engine is away")

    async_form(Thumbnailed, {"title": "Dune"}, {"image": in_memory()}).save()
    connect(post_save, refuse, Thumbnailed)
    work_on(Upload.objects.get())

    assert next(failures) == 3
    assert not files(media)
    assert not Thumbnailed.objects.get().thumbnail


class BucketByContent(Bucket):
    """Names a file by its content, and overwrites it with the same bytes."""

    def _save(self, name, content):
        name = f"files/{hashlib.sha256(content.read()).hexdigest()}"
        content.seek(0)
        return name if self.exists(name) else super()._save(name, content)


def test_a_file_of_equal_bytes_that_two_workers_store_at_the_same_time_stays(
    use_final_storage, settings
):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
    use_final_storage(BucketByContent)
    (_, first), (second, second_upload) = [post_photo(SHARED) for _ in range(2)]
    # Both find the name free. The second stores and attaches the file, then the first fails.
    before.append(partial(work_on, second_upload))
    after.extend([int, partial(fail, None)])

    work_on(first)

    second.refresh_from_db()
    assert pictures.stored(second.image) == SHARED
