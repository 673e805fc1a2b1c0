"""``StagingFileSystemStorage`` is private, and makes no copy where the disk has hard links."""

import errno
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django import forms
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage
from django.db import transaction
from django.db.models.signals import post_save, pre_save

from django_async_forms import recovery
from django_async_forms.forms import AsyncImageFormMixin
from django_async_forms.models import Upload
from django_async_forms.storage import StagingFileSystemStorage, staging_storage
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from tests import pictures
from tests.project.models import Photo, Shrunk

pytestmark = pytest.mark.django_db


class PhotoForm(AsyncImageFormMixin, forms.ModelForm):
    class Meta:
        model = Photo
        fields = ["title", "image"]


def staged_files(location):
    return [path for path in Path(location).rglob("*") if path.is_file()]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.fixture
def refuse(monkeypatch):
    """Has the disk refuse a function of ``os``: ``refuse("link", errno.EPERM)``."""

    def refuse(function, number):
        def fail(*args, **kwargs):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, function, fail)

    return refuse


@pytest.mark.parametrize("kind", ["in_memory", "on_disk"])
def test_staged_files_are_private(location, photo, umask, request, kind):
    save_image(request.getfixturevalue(kind)(), photo)

    (staged,) = staged_files(location)
    assert mode(staged) == 0o600
    assert mode(location) == 0o700
    assert mode(staged.parent) == 0o700


def test_a_staged_file_is_named_by_its_upload_and_not_by_its_client(location, photo, in_memory):
    upload = save_image(in_memory("../../evil.php.jpg"), photo)

    (staged,) = staged_files(location)
    assert staged.name == upload.pk.hex


def test_a_temporary_file_is_staged_without_a_copy(location, photo, on_disk):
    uploaded = on_disk()
    inode = Path(uploaded.temporary_file_path()).stat().st_ino

    save_image(uploaded, photo)

    (staged,) = staged_files(location)
    assert staged.stat().st_ino == inode


def test_a_temporary_file_can_be_closed_after_it_was_staged(location, photo, on_disk):
    uploaded = on_disk()
    path = Path(uploaded.temporary_file_path())

    save_image(uploaded, photo)
    uploaded.close()

    assert not path.exists()
    assert staged_files(location)


def test_a_temporary_file_is_attached_without_a_copy(location, photo, on_disk, media, no_receivers):
    uploaded = on_disk()
    inode = Path(uploaded.temporary_file_path()).stat().st_ino
    save_image(uploaded, photo)

    save_pending_uploads()

    photo.refresh_from_db()
    assert (media / photo.image.name).stat().st_ino == inode
    assert staged_files(location) == []


def test_an_image_from_memory_is_attached_without_another_copy(
    location, photo, in_memory, media, no_receivers
):
    save_image(in_memory(), photo)
    (staged,) = staged_files(location)
    inode = staged.stat().st_ino

    save_pending_uploads()

    photo.refresh_from_db()
    assert (media / photo.image.name).stat().st_ino == inode
    assert staged_files(location) == []


def test_an_image_from_memory_that_a_receiver_changes_is_attached_as_changed(
    location, photo, in_memory, connect, no_receivers
):
    small = pictures.jpeg(4, 3)

    def shrink(instance, **kwargs):
        file = instance.image.file.file
        file.seek(0)
        file.truncate()
        file.write(small)

    save_image(in_memory(data=pictures.jpeg(640, 480)), photo)
    connect(pre_save, shrink, Photo)

    save_pending_uploads()

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == small


def test_an_image_from_memory_has_the_mode_of_the_umask_where_the_final_storage_sets_none(
    location, photo, in_memory, media, no_receivers, settings, umask
):
    settings.FILE_UPLOAD_PERMISSIONS = None
    plain = default_storage.save("plain.jpg", in_memory())
    save_image(in_memory(), photo)

    save_pending_uploads()

    photo.refresh_from_db()
    assert mode(media / photo.image.name) == mode(media / plain)


@pytest.mark.parametrize("kind", ["in_memory", "on_disk"])
def test_a_receiver_that_changes_its_image_in_place_does_not_reach_the_staged_bytes(
    location, photo, request, kind, connect, no_receivers
):
    data = pictures.jpeg(640, 480)
    save_image(request.getfixturevalue(kind)(data=data), photo)
    staged_while_saving = []

    def shrink(instance, **kwargs):
        Path(instance.image.path).write_bytes(pictures.jpeg(4, 3))
        staged_while_saving.extend(path.read_bytes() for path in staged_files(location))

    connect(post_save, shrink, Photo)

    save_pending_uploads()

    assert staged_while_saving == [data]


def test_an_attached_file_has_the_mode_of_the_final_storage(location, photo, on_disk, media):
    save_image(on_disk(), photo)

    save_pending_uploads()

    photo.refresh_from_db()
    assert mode(media / photo.image.name) == 0o644


def test_a_file_that_cannot_be_linked_is_copied(location, photo, on_disk, refuse):
    refuse("link", errno.EXDEV)
    data = pictures.jpeg()
    save_image(on_disk(data=data), photo)
    (staged,) = staged_files(location)
    assert staged.read_bytes() == data
    assert mode(staged) == 0o600

    save_pending_uploads()

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data
    assert staged_files(location) == []


def test_the_staged_bytes_stay_until_the_image_is_attached(
    location, photo, on_disk, use_final_storage
):
    data = pictures.jpeg()
    save_image(on_disk(data=data), photo)
    use_final_storage(Refusing)

    with pytest.raises(OSError, match="disk full"):
        save_pending_uploads()

    (staged,) = staged_files(location)
    assert staged.read_bytes() == data


class Refusing(StagingFileSystemStorage):
    """A final storage whose disk is full."""

    def __init__(self):
        super().__init__("/nowhere")

    def exists(self, name):
        return False

    def _save(self, name, content):
        raise OSError(errno.ENOSPC, "disk full")


def test_a_model_that_changes_its_image_in_place_does_not_reach_the_staged_bytes(
    location, on_disk, monkeypatch
):
    data = pictures.jpeg(640, 480)
    save_image(on_disk(data=data), Shrunk.objects.create())
    staged_while_saving = []

    def look(sender, **kwargs):
        staged_while_saving.extend(path.read_bytes() for path in staged_files(location))
        raise ZeroDivisionError

    # The model's save() has changed the image before this error, which stands for a crash.
    monkeypatch.setattr(Upload, "remove_staged", look)
    with pytest.raises(ZeroDivisionError):
        save_pending_uploads()

    assert staged_while_saving == [data]


def test_a_copy_that_fails_leaves_nothing_behind(location):
    class Broken(ContentFile):
        def chunks(self, chunk_size=None):
            yield b"half"
            raise OSError(errno.ENOSPC, "disk full")

    with pytest.raises(OSError, match="disk full"):
        staging_storage("default").save("name", Broken(b""))

    assert staged_files(location) == []


DAY = 24 * 60 * 60


@pytest.fixture
def old(on_disk):
    """A temporary file last written two days ago, for example from a resumed upload."""
    uploaded = on_disk()
    two_days_ago = time.time() - 2 * DAY
    os.utime(uploaded.temporary_file_path(), (two_days_ago, two_days_ago))
    return uploaded


@pytest.fixture(params=["linked", "copied"])
def staged_as(request, refuse):
    """Runs the test on a disk with hard links, and on one without."""

    if request.param == "copied":
        refuse("link", errno.EPERM)
    return request.param


def test_a_staged_file_has_the_time_of_its_staging(location, old, staged_as):
    staged = staging_storage("default").save("default/ab/name", old)

    assert (location / staged).stat().st_mtime > time.time() - 60


def test_recovery_keeps_an_old_file_whose_transaction_has_not_committed(
    location, photo, old, staged_as
):
    upload = save_image(old, photo)
    Upload.objects.all().delete()  # Recovery does not see the row yet.

    recovery.recover("default")

    assert [path.name for path in staged_files(location)] == [upload.pk.hex]


def test_a_temporary_file_that_is_copied_keeps_its_mode_and_time(location, old, refuse):
    refuse("link", errno.EXDEV)
    path = Path(old.temporary_file_path())
    path.chmod(0o640)

    staging_storage("default").save("name", old)

    assert mode(path) == 0o640
    assert path.stat().st_mtime < time.time() - DAY


@pytest.mark.parametrize("function", ["chmod", "utime"])
def test_a_temporary_file_that_cannot_be_made_private_is_copied(location, old, refuse, function):
    refuse(function, errno.EPERM)

    name = staging_storage("default").save("name", old)

    inode = Path(old.temporary_file_path()).stat().st_ino
    (staged,) = staged_files(location)
    assert staged == location / name
    assert staged.stat().st_ino != inode
    assert mode(staged) == 0o600
    assert staged.stat().st_mtime > time.time() - 60


def test_a_temporary_file_behind_a_symbolic_link_is_staged(location, on_disk, tmp_path):
    uploaded = on_disk(data=b"data")
    link = tmp_path / "link"
    link.symlink_to(uploaded.temporary_file_path())
    uploaded.temporary_file_path = lambda: str(link)

    name = staging_storage("default").save("name", uploaded)
    uploaded.close()

    assert not (location / name).is_symlink()
    assert (location / name).read_bytes() == b"data"


@pytest.mark.parametrize("open_mode", ["w", "wb", "ab", "x", "a+"])
def test_a_file_that_is_opened_for_writing_is_private(location, umask, open_mode):
    storage = staging_storage("default")
    storage.save("other", ContentFile(b"data"))

    with storage.open("name", open_mode) as file:
        file.write(b"data" if "b" in open_mode else "data")

    assert mode(location / "name") == 0o600


@pytest.fixture
def staged(location, photo, on_disk):
    """A staged file of a pending upload; returns its path."""
    return location / save_image(on_disk(data=b"data"), photo).staged


def name_of(path, location):
    return path.relative_to(location).as_posix()


@pytest.fixture
def link(staged, location):
    """The staged file as a worker reads it."""
    with staging_storage("default").link_out(name_of(staged, location)) as link:
        yield link


def test_a_link_reads_the_staged_file_under_its_own_name(link, staged):
    path = Path(link.temporary_file_path())

    assert path != staged
    assert path.samefile(staged)
    assert link.read() == b"data"
    assert mode(path) == 0o600


def test_closing_a_link_removes_it_and_not_the_staged_file(link, staged, location):
    link.close()
    link.close()

    assert staged_files(location) == [staged]


def test_closing_a_link_that_was_moved_away_leaves_the_moved_file(link, staged, location, tmp_path):
    Path(link.path).rename(tmp_path / "moved.jpg")

    link.close()

    assert (tmp_path / "moved.jpg").read_bytes() == b"data"
    assert staged_files(location) == [staged]


def test_a_link_has_the_time_of_its_making(staged, location):
    os.utime(staged, (0, 0))

    with staging_storage("default").link_out(name_of(staged, location)) as link:
        assert Path(link.path).stat().st_mtime > time.time() - 60


def test_a_missing_file_has_no_link(location):
    with pytest.raises(FileNotFoundError):
        staging_storage("default").link_out("default/ab/missing")


def test_no_link_is_made_where_the_disk_has_none(staged, location, refuse):
    refuse("link", errno.EPERM)

    assert staging_storage("default").link_out(name_of(staged, location)) is None
    assert staged_files(location) == [staged]


def test_restoring_the_mode_makes_the_staged_file_private_again(link, staged, media):
    saved = FileSystemStorage(media, file_permissions_mode=0o664).save("dune.jpg", link)
    assert mode(staged) == mode(media / saved) == 0o664  # Both names lead to one file.

    link.restore_mode()

    assert mode(staged) == 0o600


def test_restoring_the_mode_of_a_removed_staged_file_does_nothing(link, staged):
    staged.unlink()

    link.restore_mode()


#: A worker that is killed while it reads the link, or after a final storage has moved it.
KILLED = """
import os, signal, sys
from django.conf import settings
settings.configure()
from django.core.files.storage import FileSystemStorage, default_storage
from django.db import transaction
from django.db.models.signals import post_save, pre_save
from django_async_forms.storage import StagingFileSystemStorage

location, name, media, when = sys.argv[1:]
link = StagingFileSystemStorage(location).link_out(name)
if when == "stored":
    FileSystemStorage(media, file_permissions_mode=0o644).save("photos/dune.jpg", link)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(params=["reading", "stored"])
def killed(request, staged, location, media):
    """Kills a worker in between; returns the moment."""
    arguments = [str(location), name_of(staged, location), str(media), request.param]
    run = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert run.returncode == -signal.SIGKILL
    return request.param


def test_recovery_removes_the_link_of_a_killed_worker_once_it_is_old(killed, staged, location):
    link = [path for path in staged_files(location) if path != staged]
    assert len(link) == (1 if killed == "reading" else 0)
    recovery.recover("default")
    assert sorted(staged_files(location)) == sorted([staged, *link])
    os.utime(staged, (0, 0))  # The link is the same file, so it has the same time.

    recovery.recover("default")

    assert staged_files(location) == [staged]


def test_a_worker_attaches_the_image_after_another_was_killed(
    killed, staged, location, photo, media
):
    save_pending_uploads()

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == b"data"
    assert mode(media / photo.image.name) == 0o644
    assert not staged.exists()
    for path in staged_files(location):
        os.utime(path, (0, 0))
    recovery.recover("default")
    assert staged_files(location) == []
    assert pictures.stored(photo.image) == b"data"


def test_the_folders_keep_a_file_private_whose_worker_was_killed(killed, staged, location):
    assert mode(location) == 0o700
    assert {mode(path) for path in location.rglob("*") if path.is_dir()} == {0o700}


def test_a_file_and_its_folders_are_on_the_disk_when_it_is_saved(tmp_path, monkeypatch):
    flushed = []
    fsync = os.fsync

    def note(descriptor):
        fsync(descriptor)
        flushed.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", note)

    StagingFileSystemStorage(location=tmp_path).save("default/ab/name", ContentFile(b"data"))

    made = [tmp_path / part for part in ("default/ab/name", "default/ab", "default", ".")]
    assert sorted(flushed) == sorted(path.stat().st_ino for path in made)


def test_a_file_whose_folder_does_not_reach_the_disk_is_not_saved(tmp_path, monkeypatch):
    fsync = os.fsync

    def fail(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "disk broken")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(OSError, match="disk broken"):
        StagingFileSystemStorage(location=tmp_path).save("name", ContentFile(b"data"))


def test_no_row_is_left_of_an_image_that_does_not_reach_the_disk(
    location, photo, in_memory, refuse
):
    refuse("fsync", errno.EIO)

    with pytest.raises(OSError, match=os.strerror(errno.EIO)), transaction.atomic():
        save_image(in_memory(), photo)

    assert not Upload.objects.exists()


def test_a_forked_process_saves_files_too(tmp_path):
    storage = StagingFileSystemStorage(location=tmp_path)
    storage.save("before", ContentFile(b"data"))  # Starts the threads that a fork leaves behind.

    process = multiprocessing.get_context("fork").Process(
        target=storage.save, args=("after", ContentFile(b"data")), daemon=True
    )
    process.start()
    process.join(60)

    assert process.exitcode == 0
    assert (tmp_path / "after").read_bytes() == b"data"


def test_a_storage_without_fsync_saves_files(tmp_path):
    storage = StagingFileSystemStorage(location=tmp_path / "staging", fsync=False)

    name = storage.save("name", ContentFile(b"data"))

    assert (tmp_path / "staging" / name).read_bytes() == b"data"


def test_a_storage_needs_a_location():
    with pytest.raises(ImproperlyConfigured, match="location"):
        StagingFileSystemStorage()


def test_a_staged_file_has_no_url(tmp_path):
    with pytest.raises(ValueError, match="private"):
        StagingFileSystemStorage(location=tmp_path).url("name")


@pytest.mark.django_db(transaction=True)
def test_a_staged_file_that_cannot_be_removed_stops_nobody(location, refuse, in_memory, caplog):
    upload = save_image(in_memory(), Photo.objects.create(title="Dune"))
    refuse("unlink", errno.EROFS)
    refuse("remove", errno.EROFS)

    Upload.objects.filter(pk=upload.pk).discard()

    assert not Upload.objects.exists()
    assert "Read-only file system" in caplog.text
