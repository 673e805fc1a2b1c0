"""``async_images()``: code that is neither a form nor a serializer has a worker save its images."""

import asyncio
import gc
import threading
import weakref

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.exceptions import FieldDoesNotExist
from django.db import connection, transaction
from django.forms import modelform_factory

from django_async_forms.draft_sender import sender_of
from django_async_forms.drafts import make_grant
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import async_images
from tests import pictures
from tests.both import async_form, roll_back
from tests.project.models import Bronze, Document, Measured, Photo, Statue
from tests.worker import sending_to

pytestmark = pytest.mark.django_db


def test_an_instance_that_is_created_in_the_block_is_saved_without_its_image(in_memory, staging):
    data = pictures.jpeg()
    with async_images(Photo):
        photo = Photo.objects.create(title="Dune", image=in_memory(data=data))

    photo.refresh_from_db()
    assert (photo.title, photo.image.name) == ("Dune", "")
    save_pending_uploads()
    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data


def test_an_instance_that_is_changed_in_the_block_keeps_its_old_image(old, in_memory):
    before = old.image.name
    with async_images(Photo):
        old.title = "New"
        old.image = in_memory("new.jpg")
        old.save()

    assert old.image.name == before
    save_pending_uploads()
    old.refresh_from_db()
    assert (old.title, old.image.name) == ("New", "photos/new.jpg")


def test_an_instance_without_a_new_image_is_saved_as_ever(old):
    with async_images(Photo):
        old.title = "New"
        old.save()

    assert Photo.objects.get().title == "New"
    assert not Upload.objects.exists()


def test_dimensions_that_the_block_sets_are_written(in_memory):
    Measured.objects.create(title="Old", image=in_memory("old.jpg"))
    measured = Measured.objects.get()
    with async_images(Measured):
        measured.width, measured.height = 7, 9
        measured.save()

    assert list(Measured.objects.values_list("width", "height")) == [(7, 9)]


def test_an_image_that_the_block_clears_is_gone_at_once(old):
    with async_images(Photo):
        old.image = ""
        old.save()

    assert Photo.objects.get().image.name == ""


def test_the_block_can_be_a_function(in_memory):
    @async_images(Photo)
    def create(name):
        return Photo.objects.create(title="Dune", image=in_memory(name))

    create("one.jpg")
    create("two.jpg")

    assert Upload.objects.count() == 2


def test_other_models_are_saved_in_the_request(in_memory):
    with async_images(Document):
        photo = Photo.objects.create(title="Dune", image=in_memory())

    assert photo.image.name == "photos/dune.jpg"


def test_blocks_in_each_other_are_for_the_models_of_both(in_memory):
    with async_images(Photo), async_images(Measured):
        Photo.objects.create(title="Dune", image=in_memory())
        Measured.objects.create(title="Reef", image=in_memory())

    assert Upload.objects.count() == 2


def test_the_block_is_for_the_children_of_a_model(in_memory):
    with async_images(Statue):
        Bronze.objects.create(image=in_memory())

    assert Upload.objects.count() == 1


def test_only_the_named_fields_are_saved_by_a_worker(in_memory):
    with async_images(Measured, fields=["image"]):
        measured = Measured.objects.create(image=in_memory("one.jpg"), cover=in_memory("two.jpg"))

    assert Upload.objects.get().field_name == "image"
    assert measured.cover.name == "covers/two.jpg"


def test_an_image_is_saved_in_the_request_after_the_block(in_memory):
    with async_images(Photo):
        photo = Photo.objects.create(title="Dune", image=in_memory())
    photo.image = in_memory("second.jpg")
    photo.save()

    assert photo.image.name == "photos/second.jpg"


def test_a_rollback_takes_the_upload_with_it(in_memory):
    def create():
        with async_images(Photo):
            Photo.objects.create(title="Dune", image=in_memory())

    roll_back(create)

    assert not Upload.objects.exists()


def test_an_image_that_a_rollback_undid_is_staged_by_the_next_save(in_memory):
    photos = []

    def create():
        with async_images(Photo):
            photos.append(Photo.objects.create(title="Dune", image=in_memory()))

    roll_back(create)
    photos[0].pk = None
    photos[0].save(force_insert=True)

    assert Upload.objects.get().object_pk == str(photos[0].pk)


def test_a_second_block_supersedes_the_image_of_the_first(old, in_memory):
    with transaction.atomic():
        for name in ("one.jpg", "two.jpg"):
            with async_images(Photo):
                old.image = in_memory(name)
                old.save()

    assert Upload.objects.get().name == "two.jpg"


def test_a_form_that_the_block_saves_stages_its_image_once(in_memory):
    form = modelform_factory(Photo, AsyncImageModelForm, fields=["title", "image"])
    with async_images(Photo):
        form({"title": "Dune"}, {"image": in_memory()}).save()

    assert Upload.objects.count() == 1


def test_eager_tasks_attach_images_within_the_block(in_memory, django_capture_on_commit_callbacks):
    eager = sending_to("memory://", task_always_eager=True)
    with eager, async_images(Photo), django_capture_on_commit_callbacks(execute=True):
        Photo.objects.create(title="Dune", image=in_memory())

    assert Photo.objects.get().image.name == "photos/dune.jpg"


def test_an_image_that_is_saved_by_its_own_method_is_stored_at_once(photo, in_memory):
    with async_images(Photo):
        photo.image.save("dune.jpg", in_memory())

    assert Photo.objects.get().image.name == "photos/dune.jpg"
    assert not Upload.objects.exists()


def test_bulk_create_stores_images_at_once(in_memory):
    with async_images(Photo):
        Photo.objects.bulk_create([Photo(title="Dune", image=in_memory())])

    assert Photo.objects.get().image.name == "photos/dune.jpg"
    assert not Upload.objects.exists()


def test_when_replacing_an_image_that_replaces_none_is_saved_at_once(in_memory, photo, old):
    with async_images(Photo, when="replacing"):
        new = Photo.objects.create(title="Dune", image=in_memory())
        photo.image = in_memory("first.jpg")
        photo.save()
        old.image = in_memory("new.jpg")
        old.save()

    assert new.image.name == "photos/dune.jpg"
    assert photo.image.name == "photos/first.jpg"
    assert Upload.objects.get().object_pk == str(old.pk)


def test_an_image_of_a_form_that_the_block_has_not_saved_is_staged_by_the_next_save(old, in_memory):
    photo = async_form(Photo, {"title": "Dune"}, {"image": in_memory()}, old).save(commit=False)
    with async_images(Photo):
        photo.save(update_fields=["title"])
    assert not Upload.objects.exists()

    photo.save()

    assert Upload.objects.get().name == "dune.jpg"


def test_a_long_transaction_keeps_no_file_in_memory(in_memory):
    with transaction.atomic(), async_images(Photo):
        image = in_memory()
        Photo.objects.create(title="Dune", image=image)
        kept = weakref.ref(image)
        del image
        gc.collect()
        assert kept() is None

    assert Upload.objects.count() == 1


# Who is shown the image


@pytest.fixture
def request_of(rf):
    """The request of a visitor, who has a session and has sent something."""
    request = rf.post("/")
    request.session = {}
    make_grant(request, "project.photo.image")
    return request


def test_the_sender_of_the_request_is_shown_the_image(in_memory, request_of):
    with async_images(Photo, request=request_of):
        Photo.objects.create(title="Dune", image=in_memory())

    assert Upload.objects.get().sender == sender_of(request_of).key


def test_nobody_is_shown_an_image_that_the_block_hides(in_memory, request_of):
    with async_images(Photo, request=request_of, hide_staged=["image"]):
        Photo.objects.create(title="Dune", image=in_memory())

    assert Upload.objects.get().sender == ""


def test_the_block_shows_nobody_an_image_that_a_form_hides(in_memory, request_of):
    form = modelform_factory(Photo, AsyncImageModelForm, fields=["title", "image"])
    form.hide_staged = ["image"]
    with async_images(Photo, request=request_of):
        form({"title": "Dune"}, {"image": in_memory()}).save()

    assert Upload.objects.get().sender == ""


def test_the_block_leaves_the_sender_that_a_form_has(in_memory, request_of):
    form = modelform_factory(Photo, AsyncImageModelForm, fields=["title", "image"])
    with async_images(Photo):
        form({"title": "Dune"}, {"image": in_memory()}, request=request_of).save()

    assert Upload.objects.get().sender == sender_of(request_of).key


# Threads and asynchronous code


@pytest.mark.django_db(transaction=True)
def test_a_thread_that_the_block_starts_is_outside(in_memory):
    def save():
        Photo.objects.create(title="Dune", image=in_memory())
        connection.close()

    with async_images(Photo):
        thread = threading.Thread(target=save)
        thread.start()
        thread.join()

    assert Photo.objects.get().image.name == "photos/dune.jpg"


@async_to_sync
async def create_in_async_code(image):
    with async_images(Photo):
        await Photo.objects.acreate(title="Awaited", image=image("one.jpg"))
        await sync_to_async(Photo.objects.create)(title="In a thread", image=image("two.jpg"))
        task = asyncio.create_task(Photo.objects.acreate(title="Task", image=image("three.jpg")))
        await task


def test_what_the_block_awaits_is_inside(in_memory):
    create_in_async_code(in_memory)

    assert sorted(Upload.objects.values_list("name", flat=True)) == [
        "one.jpg",
        "three.jpg",
        "two.jpg",
    ]


@async_to_sync
async def create_after_the_block(image):
    is_over = asyncio.Event()

    async def create():
        await is_over.wait()
        return await Photo.objects.acreate(title="Late", image=image())

    with async_images(Photo):
        task = asyncio.create_task(create())
    is_over.set()
    return await task


def test_a_task_that_goes_on_after_the_block_is_outside(in_memory):
    assert create_after_the_block(in_memory).image.name == "photos/dune.jpg"


def test_two_tasks_have_blocks_of_their_own(in_memory):
    @async_to_sync
    async def create():
        async def in_block(model, image):
            with async_images(model):
                await asyncio.sleep(0)
                await Photo.objects.acreate(title="Dune", image=image)

        await asyncio.gather(
            in_block(Photo, in_memory("one.jpg")), in_block(Document, in_memory("two.jpg"))
        )

    create()

    assert Upload.objects.get().name == "one.jpg"


# Mistakes


def test_a_block_without_a_model_is_an_error():
    with pytest.raises(TypeError, match="needs the models"), async_images():
        pass


def test_a_field_that_no_model_has_is_an_error():
    block = async_images(Photo, fields=["picture"])

    with pytest.raises(FieldDoesNotExist, match="no file field 'picture'"), block:
        pass
