"""
At each isolation level, the newest state wins, and forms for other instances do not conflict.

In these tests, a request that already has its snapshot is overtaken by another request.
"""

import threading
from contextlib import suppress

import pytest
from django import forms
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connection, connections, transaction

from django_async_forms import arrival
from django_async_forms.draft_file import DraftFile
from django_async_forms.draft_model import Draft, DraftGoneError
from django_async_forms.draft_sender import sender_of
from django_async_forms.drafts import make_grant
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.grants import Grant
from django_async_forms.models import Upload
from django_async_forms.storage import DatabaseStorage
from django_async_forms.tasks import save_image_task
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from tests import pictures
from tests.both import form_for, roll_back
from tests.project.models import Measured, Photo, Slugged
from tests.threads import at_the_same_moment, work_in_threads
from tests.worker import DEADLINE

#: The levels at which a transaction reads a snapshot, by the vendor of the database. All other
#: tests run at Django's default, READ COMMITTED, and with SQLite's IMMEDIATE.
LEVELS = {
    "mysql": ["repeatable read"],
    "postgresql": ["REPEATABLE_READ", "SERIALIZABLE"],
    "sqlite": ["immediate"],
}

pytestmark = pytest.mark.django_db(transaction=True)


def option(level):
    """Return the value of Django's OPTIONS for a level."""
    if connection.vendor == "postgresql":
        from django.db.backends.postgresql.psycopg_any import IsolationLevel

        return IsolationLevel[level]
    return level


def current_level():
    """Return the database's name for the level of a transaction on this connection."""
    statement = {
        "postgresql": "SHOW transaction_isolation",
        "mysql": "SHOW VARIABLES LIKE 'tx_isolation'",
    }[connection.vendor]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[-1].replace("-", " ").lower()


@pytest.fixture(params=LEVELS[connection.vendor])
def level(request):
    """Runs the test at each level, on every connection; returns the name of the level."""
    if connection.vendor == "sqlite":  # It has only one level.
        yield request.param
        return
    options = connection.settings_dict["OPTIONS"]
    assert options is connections.settings["default"]["OPTIONS"]
    before = dict(options)
    options["isolation_level"] = option(request.param)
    connection.close()
    assert current_level() == request.param.replace("_", " ").lower()
    yield request.param
    options.clear()
    options.update(before)
    connection.close()


@pytest.fixture
def overtaken(level):
    """Skips the test where an open transaction blocks the writes of others."""
    if connection.vendor == "sqlite":
        pytest.skip("A transaction of SQLite's lets no other one write.")


def post(name=None, base=AsyncImageModelForm, pk=None, **data):
    image = {"image": ContentFile(pictures.jpeg(), name=f"{name}.jpg")} if name else {}
    instance = Measured.objects.get(pk=pk) if pk else Measured.objects.get()
    form_for(base, Measured, {"title": "Dune", **data}, image, instance, ["title", "image"]).save()


@pytest.fixture
def old(level):
    return Measured.objects.create(title="Old", image=ContentFile(pictures.jpeg(), name="old.jpg"))


def work_in_both_orders(order):
    """Deliver all messages, in their order or reversed."""
    for upload in Upload.objects.order_by(order):
        save_image_task.apply(args=[str(upload.pk), "default"])


def image():
    return Measured.objects.get().image.name.rpartition("/")[2]


def may_be_refused(level, function):
    """Do something that plain Django cannot do either at the levels that read a snapshot."""
    try:
        function()
    except OperationalError as error:
        assert level in ("REPEATABLE_READ", "SERIALIZABLE"), error
        assert "could not serialize" in str(error)
        return False
    return True


@pytest.mark.parametrize("order", ["created_at", "-created_at"], ids=["in order", "reversed"])
def test_a_newer_image_supersedes_one_that_its_snapshot_does_not_show(order, level, overtaken, old):
    def request():
        with transaction.atomic():
            Measured.objects.count()
            at_the_same_moment(lambda: post("older"))
            post("newer")

    wins = "newer.jpg" if may_be_refused(level, request) else "older.jpg"
    work_in_both_orders(order)

    assert image() == wins
    assert not Upload.objects.exists()


def test_clearing_discards_an_image_that_its_snapshot_does_not_show(level, overtaken, old):
    def request():
        with transaction.atomic():
            Measured.objects.count()
            at_the_same_moment(lambda: post("older"))
            post(**{"image-clear": "on"})

    wins = "" if may_be_refused(level, request) else "older.jpg"
    save_pending_uploads()

    assert image() == wins
    assert not Upload.objects.exists()


def test_a_view_that_replaces_the_image_discards_one_that_its_snapshot_does_not_show(
    level, overtaken, old
):
    def request():
        with transaction.atomic():
            measured = Measured.objects.get()
            at_the_same_moment(lambda: post("older"))
            form = form_for(AsyncImageModelForm, Measured, {"title": "Dune"}, instance=measured)
            measured = form.save(commit=False)
            newest = ContentFile(pictures.jpeg(), name="newest.jpg")
            measured.image.save("newest.jpg", newest, save=False)
            measured.save()

    wins = "newest.jpg" if may_be_refused(level, request) else "older.jpg"
    save_pending_uploads()

    assert image() == wins
    assert not Upload.objects.exists()


def test_deleting_discards_an_image_that_its_snapshot_does_not_show(level, overtaken):
    Slugged.objects.create(slug="dune")

    def send():
        files = {"image": ContentFile(pictures.jpeg(), name="older.jpg")}
        slugged = Slugged.objects.get()
        form_for(AsyncImageModelForm, Slugged, {"slug": "dune"}, files, slugged).save()

    def request():
        with transaction.atomic():
            Slugged.objects.count()
            at_the_same_moment(send)
            Slugged.objects.get().delete()

    if may_be_refused(level, request):
        Slugged.objects.create(slug="dune")  # The key is used again.
        save_pending_uploads()
        assert not Slugged.objects.get().image
        assert not Upload.objects.exists()


def test_an_image_that_a_worker_has_attached_meanwhile_stays(base, level, overtaken, old):
    def request():
        with transaction.atomic():
            measured = Measured.objects.get()
            if base is AsyncImageModelForm:
                at_the_same_moment(lambda: (post("older"), save_pending_uploads()))
            form_for(base, Measured, {"title": "Dune"}, instance=measured).save()

    may_be_refused(level, request)

    assert image() == ("older.jpg" if base is AsyncImageModelForm else "old.jpg")


def test_the_second_of_two_forms_in_one_transaction_wins(level, old):
    with transaction.atomic():
        post("first")
        post("second")
    save_pending_uploads()

    assert image() == "second.jpg"
    assert not Upload.objects.exists()


@pytest.mark.parametrize("is_rolled_back", [True, False], ids=["rolled back", "committed"])
def test_a_draft_is_claimed_by_one_of_two_forms(is_rolled_back, level, overtaken, rf):
    request = rf.get("/")
    request.session = {}
    grant = Grant.loads(make_grant(request, "project.photo.image"))
    uploaded = SimpleUploadedFile("dune.jpg", pictures.jpeg())
    file = DraftFile(arrival.keep(grant, sender_of(request), uploaded, forms.ImageField()))
    first, second = (Photo.objects.create(title=title) for title in ("First", "Second"))

    def request_of_first():
        with transaction.atomic():
            Photo.objects.count()
            at_the_same_moment(lambda: claim(second))
            claim(first)

    def claim(photo):
        if is_rolled_back and photo == second:
            roll_back(lambda: save_image(file, photo))
        else:
            save_image(file, photo)

    with suppress(DraftGoneError):
        may_be_refused(level, request_of_first)

    assert Upload.objects.get().object_pk == str((first if is_rolled_back else second).pk)
    assert not Draft.objects.exists()


@pytest.mark.skipif(connection.vendor == "sqlite", reason="Only one transaction writes at a time")
@pytest.mark.parametrize("is_update", [True, False], ids=["update", "create"])
def test_forms_for_two_instances_do_not_conflict(base, is_update, level):
    photos = [None, None]
    if is_update:
        image = ContentFile(pictures.jpeg(), name="old.jpg")
        photos = [Photo.objects.create(title="Old", image=image) for _ in range(2)]

    def save(number):
        files = {"image": ContentFile(pictures.jpeg(), name=f"{number}.jpg")}
        form_for(base, Photo, {"title": "New"}, files, photos[number]).save()

    with transaction.atomic():
        save(0)
        at_the_same_moment(lambda: save(1))
    save_pending_uploads()

    assert {photo.image.name for photo in Photo.objects.all()} == {"photos/0.jpg", "photos/1.jpg"}


@pytest.mark.skipif(connection.vendor == "sqlite", reason="Only one transaction writes at a time")
def test_new_images_for_many_instances_do_not_deadlock(level):
    image = ContentFile(pictures.jpeg(), name="old.jpg")
    photos = [Photo.objects.create(title="Old", image=image) for _ in range(4)]
    together = threading.Barrier(len(photos))
    errors = []

    def request(photo):
        try:
            for number in range(3):
                together.wait(DEADLINE)
                files = {"image": ContentFile(pictures.jpeg(16, 12), name=f"{number}.jpg")}
                with transaction.atomic():
                    form_for(AsyncImageModelForm, Photo, {"title": "New"}, files, photo).save()
        except Exception as error:
            errors.append(error)
            together.abort()
        finally:
            connection.close()

    threads = [threading.Thread(target=request, args=[photo], daemon=True) for photo in photos]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)

    assert errors == []
    assert Upload.objects.count() == 4


@pytest.mark.skipif(connection.vendor == "sqlite", reason="Only one transaction writes at a time")
@pytest.mark.parametrize("other", ["a", "c"], ids=["before", "after"])
def test_while_a_file_is_deleted_others_save_files_beside_it(other, level):
    storage = DatabaseStorage()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        storage.save(name, ContentFile(pictures.jpeg()))

    with transaction.atomic():
        storage.delete("b.jpg")
        at_the_same_moment(lambda: storage.save(f"{other}b.jpg", ContentFile(pictures.jpeg())))

    assert storage.listdir("")[1] == sorted(["a.jpg", f"{other}b.jpg", "c.jpg"])


@pytest.mark.skipif(connection.vendor != "mysql", reason="No other DELETE sees more than a SELECT")
def test_a_file_that_its_snapshot_does_not_show_is_deleted(level):
    storage = DatabaseStorage()
    storage.save("a.jpg", ContentFile(pictures.jpeg()))

    with transaction.atomic():
        assert storage.exists("a.jpg")
        at_the_same_moment(lambda: storage.save("b.jpg", ContentFile(pictures.jpeg())))
        storage.delete("b.jpg")

    assert not storage.exists("b.jpg")


def test_parts_of_many_drafts_do_not_deadlock(level, rf):
    if connection.vendor == "sqlite":
        pytest.skip("Its transactions run one after the other.")
    request = rf.get("/")
    request.session = {}
    grant = Grant.loads(make_grant(request, "project.photo.image"))
    sender = sender_of(request)
    facts = {"name": "dune.jpg", "content_type": "image/jpeg", "size": 30}
    drafts = [arrival.create(grant, sender, **facts) for _ in range(6)]
    errors = []

    def send(draft):
        try:
            for offset in range(30):
                assert arrival.append(draft, offset, b"x")
        except OperationalError as error:
            errors.append(error)

    work_in_threads(send, drafts)

    assert not [error for error in errors if "deadlock" in str(error).lower()]


def test_a_plain_form_shows_which_update_is_refused(level, overtaken, old):
    def request():
        with transaction.atomic():
            Measured.objects.count()
            at_the_same_moment(lambda: post(base=forms.ModelForm, name="older"))
            post(base=forms.ModelForm, name="newer")

    assert image() == "old.jpg"
    wins = "newer.jpg" if may_be_refused(level, request) else "older.jpg"
    assert image() == wins
