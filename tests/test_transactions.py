"""An image is pending if and only if the transaction that saved its instance has committed."""

import os
from contextlib import suppress

import pytest
from django.db import IntegrityError, transaction
from django.forms import modelform_factory, modelformset_factory
from django.http import HttpResponse
from django.urls import path

from django_async_forms import delivery, recovery
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import StoredChunk, Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from django_async_forms.views import AsyncImageCreateView
from tests import pictures, services
from tests.both import RollBackError, async_form, form_for, roll_back, without_chance
from tests.pictures import bytes_of
from tests.project.models import (
    Elsewhere,
    Keyed,
    Measured,
    OnlyImages,
    Photo,
    Restaurant,
    Slugged,
    Triptych,
)
from tests.worker import sending_to_broker, staged_files

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "other"]),
    pytest.mark.urls("tests.test_transactions"),
]


@pytest.fixture(autouse=True)
def messages(patient):
    """Returns the messages that were sent in the test, on the test's own broker."""
    broker = services.Broker("filesystem", "filesystem://")
    with sending_to_broker(broker):
        yield lambda: list(broker.folder.glob("*.msg"))
    broker.remove()


@pytest.fixture(params=["in_memory", "on_disk"])
def make_upload(request):
    """Makes the file that Django makes of a small upload, and of a large one."""
    return request.getfixturevalue(request.param)


def form_class(model, fields):
    return modelform_factory(model, form=AsyncImageModelForm, fields=fields)


PhotoForm = form_class(Photo, ["title", "image"])
MeasuredForm = form_class(Measured, ["title", "image", "cover"])


# Rollback


def save_the_form(image):
    PhotoForm({"title": "Dune"}, {"image": image}).save()


def save_the_instance(image):
    photo = PhotoForm({"title": "Dune"}, {"image": image}).save(commit=False)
    photo.save()


def save_the_image(image):
    save_image(image, Photo.objects.create(title="Dune"))


@pytest.mark.parametrize("save", [save_the_form, save_the_instance, save_the_image])
def test_a_rollback_leaves_no_instance_no_upload_and_no_message(
    save, make_upload, staging, messages
):
    def save_it():
        save(make_upload())
        assert Upload.objects.exists()

    roll_back(save_it)

    assert not Photo.objects.exists()
    assert not Upload.objects.exists()
    assert messages() == []


def test_a_rollback_leaves_nothing_in_the_final_storage(in_memory, media):
    roll_back(PhotoForm({"title": "Dune"}, {"image": in_memory()}).save)

    assert not [path for path in media.rglob("*") if path.is_file()]


def test_a_rollback_leaves_no_bytes_in_the_database(make_upload):
    def save():
        save_the_form(make_upload())
        assert StoredChunk.objects.exists()

    roll_back(save)

    assert not StoredChunk.objects.exists()


@pytest.mark.parametrize("staging", ["files"], indirect=True)
def test_a_rollback_leaves_no_staged_file_once_recovery_has_run(make_upload, staging, tmp_path):
    roll_back(PhotoForm({"title": "Dune"}, {"image": make_upload()}).save)
    [name] = staged_files()
    os.utime(tmp_path / "staging" / name, (0, 0))

    recovery.recover("default")

    assert staged_files() == []


def test_a_rollback_to_a_savepoint_leaves_no_upload(in_memory, staging, messages):
    with transaction.atomic():
        Photo.objects.create(title="Kept")
        roll_back(PhotoForm({"title": "Dune"}, {"image": in_memory()}).save)

    assert Photo.objects.get().title == "Kept"
    assert not Upload.objects.exists()
    assert messages() == []


def test_a_rollback_brings_back_a_superseded_upload(in_memory, staging):
    first = pictures.jpeg()
    photo = PhotoForm({"title": "Dune"}, {"image": in_memory(data=first)}).save()
    again = Photo.objects.get()

    roll_back(PhotoForm({"title": "Dune"}, {"image": in_memory()}, instance=again).save)
    save_pending_uploads()

    assert bytes_of(photo) == first


def test_a_rollback_brings_back_the_upload_of_a_cleared_field(in_memory, staging):
    data = pictures.jpeg()
    measured = MeasuredForm({"title": "Dune"}, {"image": in_memory(data=data)}).save()
    clearing = MeasuredForm({"title": "Dune", "image-clear": "on"}, instance=Measured.objects.get())

    roll_back(clearing.save)
    save_pending_uploads()

    assert bytes_of(measured) == data


def test_a_rollback_brings_back_the_upload_of_a_deleted_instance(in_memory, staging):
    data = pictures.jpeg()
    photo = PhotoForm({"title": "Dune"}, {"image": in_memory(data=data)}).save()

    roll_back(Photo.objects.all().delete)
    save_pending_uploads()

    assert bytes_of(photo) == data


def test_a_second_database_rolls_back_by_itself(in_memory, staging, messages):
    form = async_form(Elsewhere, {"title": "Moon"}, {"image": in_memory()})

    with suppress(RollBackError), transaction.atomic(using="other"):
        form.save()
        assert messages() == []
        raise RollBackError

    assert not Elsewhere.objects.exists()
    assert not Upload.objects.using("other").exists()
    assert messages() == []


def test_a_rollback_of_another_database_changes_nothing(in_memory, messages):
    roll_back(async_form(Elsewhere, {"title": "Moon"}, {"image": in_memory()}).save)

    assert Elsewhere.objects.get().title == "Moon"
    assert Upload.objects.using("other").count() == 1
    assert len(messages()) == 1


# A form without an outer transaction opens its own


def test_an_instance_whose_image_cannot_be_staged_is_not_saved(
    in_memory, staging_is_a_file, messages
):
    with pytest.raises(OSError, match="staging"):
        save_the_form(in_memory())

    assert not Photo.objects.exists()
    assert not Upload.objects.exists()
    assert messages() == []


def test_an_update_that_cannot_be_staged_changes_nothing(in_memory, staging_is_a_file):
    old = pictures.jpeg()
    photo = Photo.objects.create(title="Old", image=in_memory(data=old))
    form = PhotoForm({"title": "New"}, {"image": in_memory()}, instance=photo)

    with pytest.raises(OSError, match="staging"):
        form.save()

    assert Photo.objects.get().title == "Old"
    assert bytes_of(photo) == old


def test_a_form_can_be_saved_once_its_upload_can_be_staged(make_upload, staging_is_a_file):
    data = pictures.jpeg()
    form = PhotoForm({"title": "Dune"}, {"image": make_upload(data=data)})
    with pytest.raises(OSError, match="staging"):
        form.save()

    staging_is_a_file.unlink()
    form.save()
    save_pending_uploads()

    assert bytes_of(Photo.objects.get()) == data


def test_an_instance_that_the_database_refuses_leaves_no_upload(in_memory, messages):
    form = PhotoForm({"title": "Dune"}, {"image": in_memory()})
    assert form.is_valid()
    form.instance.title = None

    with pytest.raises(IntegrityError):
        form.save()

    assert not Upload.objects.exists()
    assert messages() == []


class FailingView(AsyncImageCreateView):
    """Fails after the form was saved."""

    model = Photo
    fields = ["title", "image"]

    @transaction.atomic
    def form_valid(self, form):
        form.save()
        raise RollBackError


class SavingView(AsyncImageCreateView):
    model = Photo
    fields = ["title", "image"]

    @transaction.atomic
    def form_valid(self, form):
        form.save()
        return HttpResponse("saved")


urlpatterns = [path("failing/", FailingView.as_view()), path("saving/", SavingView.as_view())]


def a_post(data=None):
    image = pictures.as_file(data or pictures.jpeg())
    image.name = "dune.jpg"
    return {"title": "Dune", "image": image}


def test_a_view_that_fails_in_its_transaction_leaves_no_upload(client, messages):
    with pytest.raises(RollBackError):
        client.post("/failing/", a_post())

    assert not Photo.objects.exists()
    assert not Upload.objects.exists()
    assert messages() == []


def test_a_view_that_is_one_transaction_sends_after_its_end(client, messages):
    assert client.post("/saving/", a_post()).status_code == 200
    delivery.finish()

    assert len(messages()) == 1


# Commit


def test_no_message_is_sent_before_the_commit(in_memory, messages):
    with transaction.atomic():
        PhotoForm({"title": "Dune"}, {"image": in_memory()}).save()
        assert messages() == []

    assert len(messages()) == 1


@pytest.mark.parametrize(
    ("model", "data", "names"),
    [
        (Photo, {"title": "Dune"}, ["image"]),
        (Triptych, {}, ["left", "middle", "right"]),
        (Restaurant, {"name": "Sietch"}, ["image", "menu"]),
    ],
    ids=["one image", "three images", "a child's images in two tables"],
)
def test_each_image_of_a_form_is_one_message(model, data, names, in_memory, messages):
    async_form(model, data, {name: in_memory(f"{name}.jpg") for name in names}).save()

    assert len(messages()) == Upload.objects.count() == len(names)


def test_each_image_of_a_formset_is_one_message(in_memory, messages):
    formset_class = modelformset_factory(Photo, form=AsyncImageModelForm, fields=["title", "image"])
    data = {"form-TOTAL_FORMS": "2", "form-INITIAL_FORMS": "0"}
    data |= {"form-0-title": "First", "form-1-title": "Second"}
    files = {"form-0-image": in_memory(), "form-1-image": in_memory("second.jpg")}

    formset_class(data, files, queryset=Photo.objects.none()).save()

    assert len(messages()) == Upload.objects.count() == 2


def test_commit_false_sends_nothing_until_the_instance_is_saved(in_memory, messages):
    photo = PhotoForm({"title": "Dune"}, {"image": in_memory()}).save(commit=False)
    assert messages() == []
    assert not Upload.objects.exists()

    photo.save()

    assert len(messages()) == 1


def test_saving_the_instance_and_the_form_again_sends_nothing_more(in_memory, messages):
    form = PhotoForm({"title": "Dune"}, {"image": in_memory()})
    photo = form.save()

    photo.save()
    assert len(messages()) == Upload.objects.count() == 1
    form.save()
    assert len(messages()) == Upload.objects.count() == 1


def test_saving_the_form_again_after_the_image_was_attached_makes_no_upload(in_memory, messages):
    form = PhotoForm({"title": "Dune"}, {"image": in_memory()})
    form.save()
    save_pending_uploads()
    attached = Photo.objects.get().image.name

    form.save()

    assert Photo.objects.get().image.name == attached
    assert not Upload.objects.exists()
    assert len(messages()) == 1


@pytest.mark.parametrize("data", [{}, {"image-clear": "on"}], ids=["no image", "clearing"])
def test_a_form_without_a_new_image_sends_nothing(data, in_memory, messages):
    measured = Measured.objects.create(title="Dune", image=in_memory())

    MeasuredForm({"title": "Dune", **data}, instance=measured).save()

    assert messages() == []
    assert not Upload.objects.exists()


# Saving again, as projects do after a deadlock


def save_at_the_second_attempt(form, using="default"):
    """Save a form in a transaction that is rolled back once, as after a deadlock."""
    for attempt in range(2):
        with suppress(RollBackError), transaction.atomic(using=using):
            form.save()
            if attempt == 0:
                raise RollBackError


@pytest.mark.parametrize("has_old", [False, True], ids=["create", "update"])
def test_a_form_that_was_rolled_back_can_save_again(has_old, make_upload, staging, messages):
    old = Photo.objects.create(title="Old", image=make_upload("old.jpg")) if has_old else None
    data = pictures.jpeg()
    form = PhotoForm({"title": "New"}, {"image": make_upload(data=data)}, instance=old)

    save_at_the_second_attempt(form)

    assert len(messages()) == Upload.objects.count() == 1
    save_pending_uploads()
    assert bytes_of(Photo.objects.get(title="New")) == data


@pytest.mark.parametrize(
    ("model", "columns", "names"),
    [
        (Keyed, {}, ["image"]),
        (Slugged, {"slug": "dune"}, ["image"]),
        (OnlyImages, {}, ["front", "back"]),
        (Restaurant, {"name": "Sietch"}, ["image", "menu"]),
        (Elsewhere, {"title": "Moon"}, ["image"]),
    ],
    ids=["a UUID", "a slug", "two images", "a child", "a second database"],
)
def test_a_form_of_any_model_can_create_again(model, columns, names, in_memory):
    data = {name: pictures.jpeg() for name in names}
    form = async_form(model, columns, {name: in_memory(data=data[name]) for name in names})
    using = "other" if model is Elsewhere else "default"

    save_at_the_second_attempt(form, using)
    save_pending_uploads(using)

    saved = model.objects.get()
    assert {name: bytes_of(saved, name) for name in names} == data


def test_a_form_with_dimensions_can_create_again(in_memory):
    form = MeasuredForm({"title": "Dune"}, {"image": in_memory(data=pictures.jpeg(80, 40))})

    save_at_the_second_attempt(form)
    save_pending_uploads()

    measured = Measured.objects.get()
    assert (measured.width, measured.height, bool(measured.image)) == (80, 40, True)


def test_a_form_that_clears_can_clear_again(in_memory):
    measured = Measured.objects.create(title="Old", image=in_memory("old.jpg"))
    MeasuredForm({"title": "Old"}, {"image": in_memory()}, instance=measured).save()
    form = MeasuredForm({"title": "New", "image-clear": "on"}, instance=Measured.objects.get())

    save_at_the_second_attempt(form)

    assert Measured.objects.get(title="New").image.name == ""
    assert not Upload.objects.exists()


def test_another_image_of_a_parent_is_written_once_a_transaction_commits(base, in_memory):
    Restaurant.objects.create(name="Old", image=in_memory("old.jpg"))
    restaurant = form_for(base, Restaurant, {"name": "New"}, {}, Restaurant.objects.get())
    restaurant = restaurant.save(commit=False)
    restaurant.image = "places/another.jpg"
    roll_back(restaurant.save)

    restaurant.save()

    assert Restaurant.objects.get(name="New").image.name == "places/another.jpg"


def test_an_instance_of_commit_false_that_was_rolled_back_is_created_by_its_form(
    in_memory, staging
):
    data = pictures.jpeg()
    form = PhotoForm({"title": "Dune"}, {"image": in_memory(data=data)})
    roll_back(lambda: form.save(commit=False).save())

    form.save()
    save_pending_uploads()

    assert bytes_of(Photo.objects.get()) == data


def test_a_second_form_clears_what_a_first_has_cleared_in_a_rolled_back_transaction(
    base, in_memory
):
    instance = OnlyImages.objects.create(front=in_memory("front.jpg"), back=in_memory("back.jpg"))
    first = form_for(base, OnlyImages, {"front-clear": "on"}, {}, instance, ["front"])
    roll_back(first.save)
    form_for(base, OnlyImages, {}, {"back": in_memory("new.jpg")}, instance, ["back"]).save()
    save_pending_uploads()

    assert OnlyImages.objects.get().front.name == ""


def test_a_second_form_saves_the_image_of_a_first_in_a_rolled_back_transaction(base, in_memory):
    instance = OnlyImages.objects.create(front=in_memory("front.jpg"), back=in_memory("back.jpg"))
    first = form_for(base, OnlyImages, {}, {"front": in_memory("first.jpg")}, instance, ["front"])
    roll_back(first.save)
    form_for(base, OnlyImages, {}, {"back": in_memory("new.jpg")}, instance, ["back"]).save()
    save_pending_uploads()

    assert without_chance(OnlyImages.objects.get().front.name) == "only/first.jpg"
