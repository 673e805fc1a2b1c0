"""
Nobody waits for a storage, or for a lock that plain Django would not take.

Concurrent actions run in a thread with its own connection. The test waits for the thread, and fails
if that takes too long.
"""

import threading

import pytest
from django import forms
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import OperationalError, connection, transaction
from django.db.models.signals import post_save, pre_save

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.storage import DatabaseStorage
from django_async_forms.tasks import save_image_task
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.both import async_form, form_for
from tests.habits.models import Like, Liked, Preparing, Print, Working
from tests.project.models import Document, Photo, Restaurant
from tests.threads import Meanwhile, at_the_same_moment
from tests.worker import DEADLINE

pytestmark = pytest.mark.django_db(transaction=True)

#: The functions that the storage of this file calls while it stores. Each test sets them.
while_it_stores = []

needs_row_locks = pytest.mark.skipif(
    not connection.features.has_select_for_update, reason="This database has no row locks"
)
#: On other databases, a row that refers to another waits for an update of it in plain Django too.
needs_key_locks = pytest.mark.skipif(
    not connection.features.has_select_for_no_key_update, reason="This database has no key locks"
)


class Slow(FileSystemStorage):
    def _save(self, name, content):
        if while_it_stores:
            while_it_stores.pop()()
        return super()._save(name, content)


@pytest.fixture(autouse=True)
def final_storage(use_final_storage):
    while_it_stores.clear()
    use_final_storage(Slow)


# While a storage works


def post(model, instance=None, name="new.jpg"):
    files = {"image": ContentFile(pictures.jpeg(), name=name)}
    return async_form(model, {"title": "Dune"}, files, instance).save()


def change_the_title(model):
    model.objects.update(title="Changed meanwhile")


def save_a_form(model):
    async_form(model, {"title": "Changed meanwhile"}, instance=model.objects.get()).save()


def save_a_plain_form(model):
    with_a_new_title(forms.ModelForm, model.objects.get(), "Changed meanwhile").save()


class Once:
    """Does something on another connection, and waits for it, when it is called first."""

    def __init__(self, function):
        self.done = False
        self._function = function

    def __call__(self, *args, **kwargs):
        if not self.done:
            self.done = True
            at_the_same_moment(self._function)


def save_another_image(model):
    post(model, model.objects.get(), "newer.jpg")


def delete_the_instance(model):
    model.objects.get().delete()


def discard_the_upload(model):
    Upload.objects.for_instance(model.objects.get()).discard()


REQUESTS = [
    change_the_title,
    save_a_form,
    save_a_plain_form,
    save_another_image,
    delete_the_instance,
    discard_the_upload,
]


@pytest.mark.parametrize("request_of", REQUESTS)
def test_no_request_waits_while_the_final_storage_stores(request_of):
    post(Photo)
    meanwhile = Once(lambda: request_of(Photo))
    while_it_stores.append(meanwhile)

    save_image_task.apply(args=[str(Upload.objects.get().pk), "default"])

    assert meanwhile.done
    assert not Upload.objects.failed().exists()


@pytest.mark.parametrize(
    ("model", "request_of"),
    [
        *((Working, request_of) for request_of in REQUESTS),
        (Preparing, change_the_title),
        (Preparing, save_another_image),
    ],
)
def test_no_request_waits_while_a_save_works_on_the_image(model, request_of, monkeypatch):
    post(model)
    meanwhile = Once(lambda: request_of(model))
    monkeypatch.setattr(model, "work", staticmethod(meanwhile))

    save_image_task.apply(args=[str(Upload.objects.get().pk), "default"])

    assert meanwhile.done
    if model is Working and request_of in (change_the_title, save_a_form, save_a_plain_form):
        assert Working.objects.get().title == "Changed meanwhile"
        assert Working.objects.get().image


@pytest.mark.parametrize("signal", [pre_save, post_save], ids=["pre_save", "post_save"])
def test_no_request_waits_while_a_receiver_works_on_the_image(connect, signal):
    post(Photo)
    meanwhile = Once(lambda: change_the_title(Photo))
    connect(signal, meanwhile, Photo)

    save_pending_uploads()

    assert meanwhile.done
    assert Photo.objects.get().image


def test_the_row_of_a_child_is_free_while_the_image_of_its_parent_is_stored(in_memory):
    files = {"image": in_memory(), "menu": in_memory("menu.jpg")}
    async_form(Restaurant, {"name": "Sietch"}, files).save()

    while_it_stores.extend(
        [lambda: at_the_same_moment(lambda: Restaurant.objects.update(name="Tabr"))] * 2
    )
    save_pending_uploads()

    restaurant = Restaurant.objects.get()
    assert (restaurant.name, bool(restaurant.image), bool(restaurant.menu)) == ("Tabr", True, True)


def test_nobody_waits_while_the_request_stores_a_file_that_no_worker_does(base, in_memory):
    old = Document.objects.create(title="Old", file=ContentFile(b"old", name="old.txt"))
    Photo.objects.create(title="Elsewhere")
    while_it_stores.append(lambda: at_the_same_moment(lambda: Document.objects.update(title="New")))
    files = {"file": ContentFile(b"new", name="new.txt")}

    form_for(base, Document, {"title": "Dune"}, files, old).save()

    assert Document.objects.get().file.name == "documents/new.txt"


# Rows that refer to the instance


def with_a_new_title(base, liked, title="New"):
    return form_for(base, type(liked), {"title": title}, instance=liked)


def with_a_new_image(base, liked):
    files = {"image": ContentFile(pictures.jpeg(), name="new.jpg")}
    return form_for(base, Liked, {"title": "New"}, files, liked)


def with_a_cleared_image(base, liked):
    data = {"title": "New", "image-clear": "on"}
    return form_for(base, Liked, data, {}, liked, ["title", "image"])


FORMS = [with_a_new_title, with_a_new_image, with_a_cleared_image]
with_any_form = pytest.mark.parametrize("make_form", FORMS)


@pytest.fixture
def liked():
    return Liked.objects.create(title="Old", image=ContentFile(pictures.jpeg(), name="old.jpg"))


@needs_key_locks
@with_any_form
def test_a_row_that_refers_to_the_instance_is_inserted_while_a_form_is_saved(
    base, make_form, liked
):
    with transaction.atomic():  # As with ATOMIC_REQUESTS.
        make_form(base, liked).save()
        at_the_same_moment(lambda: Like.objects.create(liked_id=liked.pk))

    assert Like.objects.count() == 1


@needs_key_locks
@with_any_form
def test_two_requests_that_refer_to_the_instance_and_then_save_it_do_not_deadlock(
    base, make_form, liked
):
    both_have = threading.Barrier(2)

    def request():
        with transaction.atomic():
            Like.objects.create(liked_id=liked.pk)
            both_have.wait(DEADLINE)
            make_form(base, Liked.objects.get()).save()

    for one in [Meanwhile(request), Meanwhile(request)]:
        one.wait()

    assert Like.objects.count() == 2


@needs_key_locks
def test_a_row_that_refers_to_the_instance_is_inserted_while_a_worker_attaches(connect, liked):
    with_a_new_image(AsyncImageModelForm, liked).save()
    like = Once(lambda: Like.objects.create(liked_id=liked.pk))
    connect(post_save, like, Liked)

    save_pending_uploads()

    assert Like.objects.count() == 1
    assert not Upload.objects.exists()


@needs_row_locks
def test_a_form_is_saved_while_a_form_for_another_instance_is_being_saved(base, liked):
    other = Liked.objects.create(title="Other", image=ContentFile(pictures.jpeg(), name="o.jpg"))

    with transaction.atomic():
        with_a_new_image(base, liked).save()
        at_the_same_moment(lambda: with_a_new_image(base, other).save())
    save_pending_uploads()

    assert Liked.objects.exclude(image="").count() == 2
    assert set(Liked.objects.values_list("title", flat=True)) == {"New"}


@needs_row_locks
def test_a_new_instance_is_saved_while_another_new_one_is_being_saved(base):
    with transaction.atomic():
        with_a_new_image(base, None).save()
        at_the_same_moment(lambda: with_a_new_image(base, None).save())
    save_pending_uploads()

    assert Liked.objects.exclude(image="").count() == 2


def test_nobody_waits_while_the_request_stores_a_file_beside_an_image(base, in_memory):
    old = Document.objects.create(title="Old", file=ContentFile(b"old", name="old.txt"))
    Photo.objects.create(title="Elsewhere")
    while_it_stores.append(lambda: at_the_same_moment(lambda: change_the_title(Photo)))
    files = {"file": ContentFile(b"new", name="new.txt"), "scan": in_memory("scan.jpg")}

    form_for(base, Document, {"title": "Dune"}, files, old).save()
    save_pending_uploads()

    assert Document.objects.get().file.name == "documents/new.txt"


def test_an_instance_is_deleted_while_its_image_is_stored():
    post(Photo)
    while_it_stores.append(lambda: at_the_same_moment(lambda: delete_the_instance(Photo)))

    save_pending_uploads()  # This raises an error that a worker would retry.

    assert not Upload.objects.exists()


# Between the files of a DatabaseStorage


@needs_row_locks
@pytest.mark.parametrize("other", ["a", "c"], ids=["before", "after"])
def test_a_file_is_deleted_while_a_transaction_that_has_deleted_its_neighbour_is_open(other):
    storage = DatabaseStorage()
    for name in "abc":
        storage.save(name, ContentFile(b"data"))

    with transaction.atomic():
        storage.delete("b")
        at_the_same_moment(lambda: storage.delete(other))

    assert storage.listdir("")[1] == sorted({"a", "c"} - {other})


# Dimensions in the table of a parent


@needs_row_locks
def test_an_image_is_not_changed_between_the_statements_that_write_it(in_memory):
    refused = []

    def change_it():
        with transaction.atomic():
            Print.objects.select_for_update(nowait=True).values_list("pk").get()
            Print.objects.update(image="habits/other.jpg")

    def change_it_before_an_update(execute, sql, params, many, context):
        if sql.startswith("UPDATE ") and Print._meta.db_table in sql:
            with pytest.raises(OperationalError) as error:
                at_the_same_moment(change_it)
            refused.append(error)
        return execute(sql, params, many, context)

    async_form(Print, {"title": "Dune"}, {"image": in_memory()}).save()
    with connection.execute_wrapper(change_it_before_an_update):
        save_pending_uploads()

    assert len(refused) == 1
