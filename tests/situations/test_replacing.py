"""``async_when = "replacing"``: a new instance's image is saved in the request, for its pages."""

import os

import pytest
from django.core.files.base import ContentFile
from django.forms import inlineformset_factory, modelform_factory
from django.test import RequestFactory
from django.views.generic import CreateView, UpdateView

from django_async_forms.models import Upload
from django_async_forms.signals import image_saved
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from tests import pictures
from tests.project.models import Album, Document, Measured, Page, Photo, Restaurant, Shrunk
from tests.situations.forms import (
    ReplacingForm,
    async_form,
    async_saved,
    bytes_of,
    form_for,
    formset_for,
    loaded,
)
from tests.situations.models import TwoImages, WithDefault
from tests.worker import staged_files

pytestmark = pytest.mark.django_db

PhotoForm = modelform_factory(Photo, ReplacingForm, fields=["title", "image"])


def replacing(model, *args):
    return form_for(ReplacingForm, model, *args)


def pending_names():
    return sorted(Upload.objects.values_list("name", flat=True))


# New instances


def in_one_step(form):
    return form.save()


def in_two_steps(form):
    photo = form.save(commit=False)
    photo.save()
    return photo


each_way = pytest.mark.parametrize("save", [in_one_step, in_two_steps])


@each_way
def test_the_image_of_a_new_instance_is_saved_in_the_request(save, image, staging):
    photo = save(replacing(Photo, {"title": "New"}, {"image": image}))

    assert pictures.stored(photo.image) == image.data
    assert bytes_of(photo) == image.data
    assert not Upload.objects.exists()
    assert not staged_files()


def test_the_dimensions_of_a_new_instance_are_there(in_memory):
    files = {
        "image": in_memory(data=pictures.jpeg(30, 20)),
        "cover": in_memory(data=pictures.jpeg(50, 40)),
    }
    measured = loaded(replacing(Measured, {"title": "New"}, files).save())

    assert (measured.width, measured.height) == (30, 20)
    assert (measured.cover_width, measured.cover_height) == (50, 40)


@pytest.mark.parametrize(
    ("model", "values"),
    [(Photo, {"pk": 4711}), (Photo, {}), (WithDefault, {})],
    ids=["under a chosen key", "beside an old one", "instead of a default image"],
)
def test_the_image_of_any_new_instance_is_saved_in_the_request(model, values, old, image):
    instance = replacing(model, {"title": "New"}, {"image": image}, model(**values)).save()

    assert instance != old
    assert bytes_of(instance) == image.data
    assert not Upload.objects.exists()


def test_an_overridden_save_finds_the_image_of_a_new_instance(in_memory):
    data = pictures.jpeg(200, 200)
    shrunk = replacing(Shrunk, {}, {"image": in_memory(data=data)}).save()

    assert (shrunk.image.width, shrunk.image.height) == (64, 64)


def test_both_images_of_a_new_child_are_saved_in_the_request(in_memory):
    image, menu = pictures.jpeg(), pictures.jpeg()
    files = {"image": in_memory(data=image), "menu": in_memory(data=menu)}
    restaurant = replacing(Restaurant, {"name": "x"}, files).save()

    assert (bytes_of(restaurant), bytes_of(restaurant, "menu")) == (image, menu)
    assert not Upload.objects.exists()


# Updates


@each_way
def test_an_image_that_replaces_another_is_saved_by_a_worker(save, old, image, staging):
    before = bytes_of(old)
    photo = save(replacing(Photo, {"title": "New"}, {"image": image}, old))
    assert bytes_of(photo) == before
    assert pending_names() == ["dune.jpg"]

    save_pending_uploads()

    assert bytes_of(photo) == image.data


def test_an_image_for_a_field_that_is_still_empty_is_saved_in_the_request(image):
    two = TwoImages.objects.create(title="x")
    replacing(TwoImages, {"title": "y"}, {"image": image}, loaded(two)).save()

    assert bytes_of(two) == image.data
    assert not Upload.objects.exists()


def test_each_field_of_an_update_is_saved_in_its_own_way(in_memory):
    cover = pictures.jpeg()
    two = TwoImages.objects.create(title="x", image=ContentFile(b"old", "old.jpg"))
    files = {"image": in_memory("new.jpg"), "cover": in_memory(data=cover)}
    replacing(TwoImages, {"title": "y"}, files, loaded(two)).save()

    assert (bytes_of(two), bytes_of(two, "cover")) == (b"old", cover)
    assert pending_names() == ["new.jpg"]


def test_a_placeholder_that_the_row_has_is_replaced_by_a_worker(image):
    instance = WithDefault.objects.create(title="x")
    replacing(WithDefault, {"title": "y"}, {"image": image}, loaded(instance)).save()

    assert loaded(instance).image.name == "placeholder.png"
    assert pending_names() == ["dune.jpg"]


CLEARED = {"title": "x", "image-clear": "on"}


def test_an_image_that_was_cleared_is_replaced_in_the_request(image):
    two = TwoImages.objects.create(title="x", image=ContentFile(b"old", "old.jpg"))
    replacing(TwoImages, CLEARED, {}, loaded(two), ["title", "image"]).save()

    replacing(TwoImages, {"title": "y"}, {"image": image}, loaded(two)).save()

    assert bytes_of(two) == image.data


def test_an_image_that_was_cleared_on_a_held_instance_is_saved_in_the_request(in_memory, image):
    two = TwoImages.objects.create(title="x", image=in_memory())
    replacing(TwoImages, {"title": "x"}, {"image": in_memory()}, two).save()
    replacing(TwoImages, CLEARED, {}, two, ["title", "image"]).save()
    assert bytes_of(two) is None

    replacing(TwoImages, {"title": "x"}, {"image": image}, two).save()

    assert bytes_of(two) == image.data


def test_an_image_that_replaces_a_newer_one_on_a_refreshed_instance_is_pending(in_memory):
    two = replacing(TwoImages, {"title": "x"}, {"image": in_memory()}).save()
    newer = loaded(two)
    newer.image = in_memory("newer.jpg")
    newer.save()
    two.refresh_from_db()

    replacing(TwoImages, {"title": "x"}, {"image": in_memory()}, two).save()

    assert loaded(two).image.name == "situations/newer.jpg"
    assert pending_names() == ["dune.jpg"]


def test_an_image_of_a_copy_is_saved_in_the_request(old, image):
    copy = replacing(Photo, {"title": "copy"}, {"image": image}, old).save(commit=False)
    copy.pk = None
    copy._state.adding = True
    copy.save()

    assert bytes_of(copy) == image.data


def test_an_image_that_is_saved_in_the_request_supersedes_one_that_is_pending(in_memory, image):
    two = async_form(TwoImages, {"title": "x"}, {"image": in_memory()}).save()
    replacing(TwoImages, {"title": "y"}, {"image": image}, loaded(two)).save()

    assert not Upload.objects.exists()
    save_pending_uploads()
    assert bytes_of(two) == image.data


def test_a_second_image_on_the_saved_instance_is_saved_by_a_worker(in_memory):
    first, second = pictures.jpeg(), pictures.jpeg()
    photo = replacing(Photo, {"title": "x"}, {"image": in_memory(data=first)}).save()
    replacing(Photo, {"title": "x"}, {"image": in_memory(data=second)}, photo).save()
    assert bytes_of(photo) == first

    save_pending_uploads()

    assert bytes_of(photo) == second


def test_an_image_of_an_instance_whose_image_was_not_loaded_is_saved_by_a_worker(old, image):
    name = old.image.name
    instance = Photo.objects.defer("image").get()
    replacing(Photo, {"title": "x"}, {"image": image}, instance).save()
    assert loaded(old).image.name == name

    save_pending_uploads()

    assert bytes_of(old) == image.data


def test_an_update_without_an_image_changes_none(old, in_memory):
    before = bytes_of(old)
    PhotoForm({"title": "New"}, {}, instance=loaded(old)).save()

    assert (loaded(old).title, bytes_of(old)) == ("New", before)
    assert not Upload.objects.exists()


def test_a_plain_file_that_the_form_names_is_replaced_by_a_worker(in_memory):
    class DocumentForm(ReplacingForm):
        async_fields = ["file"]

        class Meta:
            model = Document
            fields = ["title", "file", "scan"]

    files = {"file": in_memory("first.txt")}
    document = DocumentForm({"title": "x"}, files).save()
    assert loaded(document).file
    assert not Upload.objects.exists()

    files = {"file": in_memory("second.txt"), "scan": in_memory("scan.jpg")}
    DocumentForm({"title": "x"}, files, instance=loaded(document)).save()
    assert pending_names() == ["second.txt"]
    assert loaded(document).scan


# Views, formsets and inlines


def post(view, data, **kwargs):
    view = view.as_view(model=Photo, form_class=PhotoForm, success_url="/")
    assert view(RequestFactory().post("/", data), **kwargs).status_code == 302


def test_a_view_that_creates_saves_the_image_in_the_request(image):
    post(CreateView, {"title": "New", "image": image})

    assert bytes_of(Photo.objects.get()) == image.data


def test_a_view_that_updates_leaves_the_image_to_a_worker(old, in_memory):
    before, data = bytes_of(old), pictures.jpeg()
    post(UpdateView, {"title": "New", "image": in_memory(data=data)}, pk=old.pk)
    assert bytes_of(old) == before

    save_pending_uploads()

    assert bytes_of(old) == data


def test_a_formset_saves_images_of_new_rows_in_the_request_and_leaves_others(old, in_memory, image):
    replacing_row = {"id": old.pk, "title": "Old", "image": in_memory("replaces.jpg")}
    formset_for(ReplacingForm, Photo, replacing_row, {"title": "New", "image": image}).save()

    assert pending_names() == ["replaces.jpg"]
    assert bytes_of(Photo.objects.get(title="New")) == image.data


def test_an_inline_formset_with_commit_false_saves_images_of_new_rows_in_the_request(image):
    album = Album.objects.create(name="x")
    factory = inlineformset_factory(Album, Page, form=ReplacingForm, fields=["image"], extra=1)
    data = {"pages-TOTAL_FORMS": 1, "pages-INITIAL_FORMS": 0}
    formset = factory(data, {"pages-0-image": image}, instance=album)
    assert formset.is_valid(), formset.errors
    for page in formset.save(commit=False):
        page.save()

    assert bytes_of(Page.objects.get()) == image.data
    assert not Upload.objects.exists()


# The argument ``replaced`` of image_saved


@pytest.fixture
def replaced(connect):
    """The names that image_saved sent as ``replaced``, in order."""
    names = []

    def receive(replaced, **kwargs):
        names.append(replaced)

    connect(image_saved, receive)
    return names


@pytest.mark.parametrize(
    ("model", "data"),
    [(Photo, {"title": "x"}), (Shrunk, {}), (WithDefault, {"title": "x"})],
    ids=["a plain model", "a model with its own save()", "a placeholder"],
)
@pytest.mark.parametrize("has_old", [True, False], ids=["an image", "none"])
def test_an_image_replaces_that_which_the_row_had(has_old, model, data, replaced, in_memory, image):
    instance = model.objects.create(**({"image": in_memory("old.jpg")} if has_old else {}))
    before = instance.image.name
    async_saved(model, data, {"image": image}, loaded(instance))

    assert replaced == [before]


def test_an_image_replaces_that_which_was_attached_before(replaced, in_memory):
    photo = async_saved(Photo, {"title": "x"}, {"image": in_memory("a.jpg")})
    save_image(in_memory("b.jpg"), loaded(photo))
    save_pending_uploads()

    assert replaced == ["", "photos/a.jpg"]


def test_an_image_that_supersedes_a_pending_one_replaces_that_which_the_row_had(
    replaced, old, in_memory
):
    name = old.image.name
    for new in ("a.jpg", "b.jpg"):
        async_form(Photo, {"title": "x"}, {"image": in_memory(new)}, loaded(old)).save()
    save_pending_uploads()

    assert replaced == [name]


def test_an_image_replaces_that_which_a_stale_write_has_left(replaced, old, image):
    stale = loaded(old)
    os.utime(old.image.path, (0, 0))
    Photo.objects.update(image="photos/newer.jpg")
    async_form(Photo, {"title": "x"}, {"image": image}, loaded(old)).save()
    stale.save()
    save_pending_uploads()

    assert replaced == [stale.image.name]


def test_a_receiver_can_delete_the_replaced_image(connect, replaced, old, image):
    storage, name = old.image.storage, old.image.name

    def delete(replaced, **kwargs):
        storage.delete(replaced)

    connect(image_saved, delete)
    async_form(Photo, {"title": "x"}, {"image": image}, old).save()
    assert storage.exists(name)
    save_pending_uploads()

    assert not storage.exists(name)
    assert bytes_of(old)


def test_an_image_that_the_request_saves_sends_no_signal(replaced, image):
    replacing(Photo, {"title": "x"}, {"image": image}).save()

    assert replaced == []
