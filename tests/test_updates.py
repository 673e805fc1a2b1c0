"""Changes while images are pending: superseding, clearing, deleting, stale writes."""

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import connection
from django.forms import modelform_factory

from django_async_forms import recovery
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from tests import pictures
from tests.pictures import bytes_of
from tests.project.models import (
    Album,
    Bronze,
    Measured,
    OnlyImages,
    Page,
    Photo,
    Place,
    PlaceProxy,
    Restaurant,
    Shelved,
    Shrunk,
    Slugged,
    Statue,
)
from tests.worker import staged_files, work_on

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("queue")]


def form_class(model, fields):
    return modelform_factory(model, form=AsyncImageModelForm, fields=fields)


PhotoForm = form_class(Photo, ["title", "image"])
MeasuredForm = form_class(Measured, ["title", "image", "cover"])
OnlyImagesForm = form_class(OnlyImages, ["front", "back"])
SluggedForm = form_class(Slugged, ["slug", "image"])
ShrunkForm = form_class(Shrunk, ["image"])
PlaceForm = form_class(Place, ["name", "image"])
BronzeForm = form_class(Bronze, ["slug", "image"])
RestaurantForm = form_class(Restaurant, ["name", "image", "menu"])
ShelvedForm = form_class(Shelved, ["shelf", "position", "image"])
PageForm = form_class(Page, ["image"])


def uploads_of(instance, field_name=None):
    return Upload.objects.for_instance(instance, field_name)


def nothing_is_left(using="default"):
    return not Upload.objects.using(using).exists() and not staged_files(using)


@pytest.fixture
def old():
    return pictures.jpeg()


@pytest.fixture
def photo(old):
    """A photo with an image."""
    return Photo.objects.create(title="Dune", image=ContentFile(old, name="old.jpg"))


# The old image


def test_the_old_image_stays_until_the_new_one_is_attached(photo, old, in_memory, staging):
    new = pictures.jpeg()
    PhotoForm({"title": "Dune"}, {"image": in_memory(data=new)}, instance=photo).save()
    assert bytes_of(photo) == old

    save_pending_uploads()

    assert bytes_of(photo) == new


def test_the_old_dimensions_stay_as_long_as_the_old_image(in_memory):
    old = ContentFile(pictures.jpeg(30, 20), name="old.jpg")
    measured = Measured.objects.create(title="Dune", image=old)
    files = {"image": in_memory(data=pictures.jpeg(80, 40))}
    MeasuredForm({"title": "Dune"}, files, instance=measured).save()
    measured = Measured.objects.get()
    assert (measured.image.name[-7:], measured.width, measured.height) == ("old.jpg", 30, 20)

    save_pending_uploads()

    measured = Measured.objects.get()
    assert (measured.width, measured.height) == (80, 40)


def test_the_saved_instance_has_the_old_image(photo, old, in_memory):
    saved = PhotoForm({"title": "Dune"}, {"image": in_memory()}, instance=photo).save()

    assert pictures.stored(saved.image) == old


def test_the_saved_instance_has_no_image_yet_if_it_had_none(in_memory):
    saved = PhotoForm({"title": "Dune"}, {"image": in_memory()}).save()

    assert not saved.image
    assert saved.image.name == ""


def test_the_saved_instance_has_the_new_image_once_it_is_refreshed(photo, in_memory):
    new = pictures.jpeg()
    saved = PhotoForm({"title": "Dune"}, {"image": in_memory(data=new)}, instance=photo).save()
    save_pending_uploads()

    saved.refresh_from_db()

    assert pictures.stored(saved.image) == new


# Superseding


@pytest.fixture(params=[True, False], ids=["update", "create"])
def two_uploads(request, in_memory):
    """Saves two forms in turn; returns the upload of each, and the last bytes."""
    photo = request.getfixturevalue("photo") if request.param else None
    photo = PhotoForm({"title": "First"}, {"image": in_memory()}, instance=photo).save()
    first = uploads_of(photo).get()
    last = pictures.jpeg()
    again = Photo.objects.get()
    PhotoForm({"title": "Last"}, {"image": in_memory(data=last)}, instance=again).save()
    return first, uploads_of(photo).get(), last


def test_a_second_upload_supersedes_the_first(two_uploads):
    first, second, _ = two_uploads

    assert first.pk != second.pk
    assert list(Upload.objects.all()) == [second]


@pytest.mark.parametrize("first_comes", ["first", "last"])
def test_the_last_upload_wins_in_any_order_of_messages(
    staging, two_uploads, first_comes, django_capture_on_commit_callbacks
):
    first, second, last = two_uploads
    in_order = [first, second] if first_comes == "first" else [second, first]

    with django_capture_on_commit_callbacks(execute=True):
        for upload in in_order:
            work_on(upload)

    assert bytes_of(Photo.objects.get()) == last
    assert not Upload.objects.exists()


def test_the_superseded_uploads_bytes_are_removed(
    staging, photo, in_memory, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        PhotoForm({"title": "Dune"}, {"image": in_memory()}, instance=photo).save()
        PhotoForm({"title": "Dune"}, {"image": in_memory()}, instance=photo).save()
        upload = uploads_of(photo).get()

    assert staged_files() == [upload.staged]


def test_a_failed_upload_is_superseded(photo, in_memory):
    PhotoForm({"title": "Dune"}, {"image": in_memory()}, instance=photo).save()
    uploads_of(photo).update(state=Upload.State.FAILED)

    new = pictures.jpeg()
    PhotoForm({"title": "Dune"}, {"image": in_memory(data=new)}, instance=photo).save()

    assert not Upload.objects.failed().exists()
    save_pending_uploads()
    assert bytes_of(photo) == new


def test_an_upload_supersedes_those_for_the_same_field_only(in_memory):
    only = OnlyImagesForm({}, {"front": in_memory(), "back": in_memory()}).save()
    back = uploads_of(only, "back").get()

    OnlyImagesForm({}, {"front": in_memory()}, instance=only).save()

    assert uploads_of(only, "front").count() == 1
    assert uploads_of(only, "back").get() == back


def test_an_upload_supersedes_those_for_the_same_instance_only(photo, in_memory):
    PhotoForm({"title": "Dune"}, {"image": in_memory()}, instance=photo).save()
    other = PhotoForm({"title": "Moon"}, {"image": in_memory()}).save()

    PhotoForm({"title": "Moon"}, {"image": in_memory()}, instance=other).save()

    assert uploads_of(photo).count() == 1


def test_a_form_supersedes_the_upload_of_save_image(photo, in_memory):
    first = save_image(in_memory(), photo)

    PhotoForm({"title": "Dune"}, {"image": in_memory()}, instance=photo).save()

    assert uploads_of(photo).exclude(pk=first.pk).count() == Upload.objects.count() == 1


def test_a_parents_form_supersedes_the_upload_of_the_childs_form(in_memory):
    files = {"image": in_memory(), "menu": in_memory()}
    restaurant = RestaurantForm({"name": "Sietch"}, files).save()
    place = Place.objects.get()
    last = pictures.jpeg()

    PlaceForm({"name": "Sietch"}, {"image": in_memory(data=last)}, instance=place).save()

    assert uploads_of(restaurant, "image").count() == uploads_of(restaurant, "menu").count() == 1
    save_pending_uploads()
    assert bytes_of(place) == last


def test_a_stored_image_that_a_form_chooses_supersedes_a_pending_upload(photo, in_memory):
    chosen = Photo.objects.create(title="Moon", image=in_memory("moon.jpg")).image.name

    class ChoosingForm(PhotoForm):
        def clean_image(self):
            return chosen

    PhotoForm({"title": "Dune"}, {"image": in_memory()}, instance=photo).save()

    ChoosingForm({"title": "Dune"}, {"image": in_memory()}, instance=photo).save()
    save_pending_uploads()

    photo.refresh_from_db()
    assert photo.image.name == chosen


def test_an_image_saved_in_the_request_supersedes_a_pending_upload(photo, in_memory):
    class SynchronousForm(PhotoForm):
        async_fields = []

    PhotoForm({"title": "Dune"}, {"image": in_memory()}, instance=photo).save()
    last = pictures.jpeg()

    SynchronousForm({"title": "Dune"}, {"image": in_memory(data=last)}, instance=photo).save()
    save_pending_uploads()

    assert bytes_of(photo) == last


# Clearing


def test_clearing_takes_effect_in_the_request(in_memory):
    measured = Measured.objects.create(title="Dune", image=in_memory("old.jpg"))
    assert measured.width

    MeasuredForm({"title": "Dune", "image-clear": "on"}, instance=measured).save()

    measured = Measured.objects.get()
    assert (measured.image.name, measured.width, measured.height) == ("", None, None)


@pytest.mark.parametrize("state", Upload.State.values)
@pytest.mark.parametrize("has_image", [True, False])
def test_clearing_discards_an_upload(
    has_image, state, staging, in_memory, django_capture_on_commit_callbacks
):
    measured = Measured.objects.create(title="Dune")
    if has_image:
        measured.image = in_memory("old.jpg")
        measured.save()
    with django_capture_on_commit_callbacks(execute=True):
        MeasuredForm({"title": "Dune"}, {"image": in_memory()}, instance=measured).save()
        upload = uploads_of(measured).get()
        uploads_of(measured).update(state=state)

        data = {"title": "Dune", "image-clear": "on"}
        MeasuredForm(data, instance=Measured.objects.get()).save()
        work_on(upload)

    assert Measured.objects.get().image.name == ""
    assert nothing_is_left()


class EmptyingForm(MeasuredForm):
    def clean_image(self):
        return ""  # Django assigns it, as it does with False.


def test_a_clean_method_that_empties_the_image_discards_an_upload(in_memory):
    MeasuredForm({"title": "Dune"}, {"image": in_memory()}).save()

    EmptyingForm({"title": "Dune"}, instance=Measured.objects.get()).save()

    assert nothing_is_left()


def test_clearing_one_field_leaves_the_upload_for_the_other(in_memory):
    files = {"image": in_memory(), "cover": in_memory("cover.jpg")}
    measured = MeasuredForm({"title": "Dune"}, files).save()

    MeasuredForm({"title": "Dune", "image-clear": "on"}, instance=Measured.objects.get()).save()
    save_pending_uploads()

    measured.refresh_from_db()
    assert (measured.image.name, measured.cover.name) == ("", "covers/cover.jpg")


def test_clearing_twice_changes_nothing_more(in_memory):
    measured = Measured.objects.create(title="Dune", image=in_memory("old.jpg"))

    for _ in range(2):
        MeasuredForm({"title": "Dune", "image-clear": "on"}, instance=Measured.objects.get()).save()

    assert uploads_of(measured).count() == 0
    assert Measured.objects.get().image.name == ""


def test_an_upload_after_clearing_is_attached(in_memory):
    new = pictures.jpeg()
    measured = Measured.objects.create(title="Dune", image=in_memory("old.jpg"))
    MeasuredForm({"title": "Dune", "image-clear": "on"}, instance=measured).save()

    MeasuredForm({"title": "Dune"}, {"image": in_memory(data=new)}, instance=measured).save()
    save_pending_uploads()

    assert bytes_of(measured) == new


def test_clearing_clears_an_image_that_was_attached_since_the_form_was_loaded(in_memory):
    MeasuredForm({"title": "Dune"}, {"image": in_memory()}).save()
    loaded = Measured.objects.get()
    save_pending_uploads()

    MeasuredForm({"title": "Dune", "image-clear": "on"}, instance=loaded).save()

    assert Measured.objects.get().image.name == ""


def test_clearing_with_commit_false_discards_once_the_instance_is_saved(in_memory):
    measured = MeasuredForm({"title": "Dune"}, {"image": in_memory()}).save()
    form = MeasuredForm({"title": "Dune", "image-clear": "on"}, instance=Measured.objects.get())

    cleared = form.save(commit=False)
    assert uploads_of(measured).exists()
    cleared.save()

    assert nothing_is_left()


# Deleting


def delete_it(instance):
    instance.delete()


def delete_the_query(instance):
    type(instance).objects.filter(pk=instance.pk).delete()


@pytest.mark.parametrize("delete", [delete_it, delete_the_query])
def test_deleting_the_instance_leaves_nothing_behind(
    delete, staging, in_memory, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        photo = PhotoForm({"title": "Dune"}, {"image": in_memory()}).save()
        delete(photo)

    assert nothing_is_left()


def test_a_message_for_a_deleted_instance_does_nothing(in_memory, media):
    photo = PhotoForm({"title": "Dune"}, {"image": in_memory()}).save()
    upload = uploads_of(photo).get()
    photo.delete()

    work_on(upload)

    assert not list(media.rglob("*.jpg"))


def delete_the_album(in_memory):
    album = Album.objects.create(name="Arrakis")
    PageForm({}, {"image": in_memory()}, instance=Page(album=album)).save()
    album.delete()


def delete_the_child(in_memory):
    RestaurantForm({"name": "Sietch"}, {"image": in_memory(), "menu": in_memory()}).save().delete()


def delete_the_parent(in_memory):
    RestaurantForm({"name": "Sietch"}, {"image": in_memory(), "menu": in_memory()}).save()
    Place.objects.get().delete()


def delete_through_a_proxy(in_memory):
    PlaceForm({"name": "Sietch"}, {"image": in_memory()}).save()
    PlaceProxy.objects.all().delete()


def delete_what_a_form_of_its_proxy_saved(in_memory):
    BronzeForm({"slug": "thinker"}, {"image": in_memory()}).save()
    Statue.objects.all().delete()


@pytest.mark.parametrize(
    "save_and_delete",
    [
        delete_the_album,
        delete_the_child,
        delete_the_parent,
        delete_through_a_proxy,
        delete_what_a_form_of_its_proxy_saved,
    ],
)
def test_deleting_by_any_way_leaves_nothing_behind(save_and_delete, in_memory):
    save_and_delete(in_memory)

    assert nothing_is_left()


def test_deleting_a_child_without_its_parent_leaves_the_parents_upload(in_memory):
    data = pictures.jpeg()
    files = {"image": in_memory(data=data), "menu": in_memory()}
    RestaurantForm({"name": "Sietch"}, files).save().delete(keep_parents=True)
    save_pending_uploads()

    assert bytes_of(Place.objects.get()) == data
    assert nothing_is_left()


def delete_with_sql(model):
    """Delete all rows as a process without this package does."""
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {connection.ops.quote_name(model._meta.db_table)}")


def test_the_upload_of_an_instance_that_was_deleted_past_django_is_kept_as_failed(
    staging, in_memory
):
    upload = uploads_of(PhotoForm({"title": "Dune"}, {"image": in_memory()}).save()).get()
    delete_with_sql(Photo)

    work_on(upload)

    assert "There is no project.photo with the primary key" in Upload.objects.failed().get().error
    assert staged_files("default")


def test_the_upload_of_an_instance_whose_key_was_changed_past_django_is_kept(in_memory):
    form = ShelvedForm({"shelf": "sand", "position": "3"}, {"image": in_memory()})
    upload = uploads_of(form.save()).get()
    Shelved.objects.update(position=4)

    work_on(upload)
    recovery.recover("default")

    assert Upload.objects.failed().get() == upload


def test_recovery_keeps_the_upload_of_an_instance_with_a_key_of_two_columns(in_memory):
    form = ShelvedForm({"shelf": "sand", "position": "3"}, {"image": in_memory()})
    upload = uploads_of(form.save()).get()

    Upload.objects.update(due_at=upload.created_at)
    recovery.recover("default")

    assert Upload.objects.get() == upload


def test_a_new_instance_under_the_same_key_does_not_get_the_old_image(in_memory):
    slugged = SluggedForm({"slug": "dune"}, {"image": in_memory()}).save()
    upload = uploads_of(slugged).get()
    slugged.delete()

    Slugged.objects.create(slug="dune")
    work_on(upload)
    save_pending_uploads()

    assert not Slugged.objects.get().image


@pytest.mark.parametrize("first_comes", ["first", "last"])
def test_a_new_instance_under_the_key_of_one_deleted_past_django_gets_its_own_image(
    first_comes, in_memory
):
    first = uploads_of(SluggedForm({"slug": "dune"}, {"image": in_memory()}).save()).get()
    delete_with_sql(Slugged)
    new = pictures.jpeg()

    slugged = SluggedForm({"slug": "dune"}, {"image": in_memory(data=new)}).save()
    second = uploads_of(slugged).exclude(pk=first.pk).get()
    for upload in [first, second] if first_comes == "first" else [second, first]:
        work_on(upload)

    assert bytes_of(slugged) == new
    assert nothing_is_left()


# Stale writes


def test_an_image_that_is_attached_as_the_form_is_made_is_not_asked_for(in_memory):
    photo = Photo.objects.create(title="Before")
    save_image(in_memory(), photo)
    loaded = Photo.objects.get(pk=photo.pk)
    save_pending_uploads()  # A worker is faster than the request.

    form = PhotoForm({"title": "After"}, instance=loaded)

    assert form.is_valid(), form.errors
    form.save()
    photo.refresh_from_db()
    assert (photo.title, bool(photo.image)) == ("After", True)


@pytest.mark.parametrize("fields", [["title", "image"], ["title"]], ids=["image", "no image"])
@pytest.mark.parametrize("commit", [True, False])
def test_a_form_that_was_loaded_before_leaves_an_attached_image_alone(fields, commit, in_memory):
    new = pictures.jpeg()
    PhotoForm({"title": "Dune"}, {"image": in_memory(data=new)}).save()
    form = form_class(Photo, fields)({"title": "Arrakis"}, instance=Photo.objects.get())
    save = form.save if commit else form.save(commit=False).save
    assert form.is_valid()
    save_pending_uploads()

    save()

    photo = Photo.objects.get()
    assert (photo.title, pictures.stored(photo.image)) == ("Arrakis", new)


def test_a_form_with_dimensions_leaves_an_attached_image_alone(in_memory):
    MeasuredForm({"title": "Dune"}, {"image": in_memory(data=pictures.jpeg(80, 40))}).save()
    form = MeasuredForm({"title": "Arrakis"}, instance=Measured.objects.get())
    assert form.is_valid()
    save_pending_uploads()

    form.save()

    measured = Measured.objects.get()
    assert (measured.title, measured.width, measured.height) == ("Arrakis", 80, 40)
    assert measured.image


def save_the_form(form):
    return form.save()


def save_the_instance(form):
    photo = form.save(commit=False)
    photo.save()
    return photo


def save_the_form_and_keep_it(form):
    form.save()
    return form.instance


@pytest.mark.parametrize("save", [save_the_form, save_the_instance, save_the_form_and_keep_it])
@pytest.mark.parametrize("has_old", [True, False])
def test_the_saved_instance_can_be_saved_again_after_the_image_was_attached(
    save, has_old, in_memory
):
    new = pictures.jpeg()
    instance = Photo.objects.create(title="Old", image=in_memory("old.jpg")) if has_old else None
    photo = save(PhotoForm({"title": "Dune"}, {"image": in_memory(data=new)}, instance=instance))
    save_pending_uploads()

    photo.title = "Arrakis"
    photo.save()

    photo = Photo.objects.get()
    assert (photo.title, pictures.stored(photo.image)) == ("Arrakis", new)


def test_a_saved_instance_with_dimensions_can_be_saved_again(in_memory):
    files = {"image": in_memory(data=pictures.jpeg(80, 40))}
    measured = MeasuredForm({"title": "Dune"}, files).save()
    save_pending_uploads()

    measured.title = "Arrakis"
    measured.save()

    measured = Measured.objects.get()
    assert (measured.title, measured.width, bool(measured.image)) == ("Arrakis", 80, True)


def test_a_saved_instance_of_images_only_can_be_saved_again(in_memory):
    new = pictures.jpeg()
    only = OnlyImagesForm({}, {"front": in_memory(data=new)}).save()
    save_pending_uploads()

    only.save()

    assert bytes_of(only, "front") == new


def test_a_saved_instance_whose_save_looks_at_the_image_can_be_saved_again(in_memory):
    shrunk = ShrunkForm({}, {"image": in_memory(data=pictures.jpeg(100, 80))}).save()
    save_pending_uploads()
    attached = bytes_of(shrunk)

    shrunk.save()

    assert Shrunk.objects.get().image.width == 64
    assert len(bytes_of(shrunk)) <= len(attached)


def test_an_upload_for_one_field_leaves_an_image_attached_to_the_other_alone(in_memory):
    front, back = pictures.jpeg(), pictures.jpeg()
    OnlyImagesForm({}, {"front": in_memory(data=front)}).save()
    form = OnlyImagesForm({}, {"back": in_memory(data=back)}, instance=OnlyImages.objects.get())
    assert form.is_valid()
    save_pending_uploads()

    only = form.save()
    save_pending_uploads()

    assert (bytes_of(only, "front"), bytes_of(only, "back")) == (front, back)


def test_clearing_one_field_leaves_an_image_attached_to_the_other_alone(in_memory):
    front = pictures.jpeg()
    only = OnlyImages.objects.create(back=in_memory("back.jpg"))
    OnlyImagesForm({}, {"front": in_memory(data=front)}, instance=only).save()
    form = OnlyImagesForm({"back-clear": "on"}, instance=OnlyImages.objects.get())
    assert form.is_valid()
    save_pending_uploads()

    form.save()

    only = OnlyImages.objects.get()
    assert (pictures.stored(only.front), only.back.name) == (front, "")


def test_two_pending_images_of_one_instance_are_both_attached(in_memory):
    front, back = pictures.jpeg(), pictures.jpeg()
    only = OnlyImagesForm({}, {"front": in_memory(data=front), "back": in_memory(data=back)}).save()

    for upload in uploads_of(only).order_by("-field_name"):
        work_on(upload)

    assert (bytes_of(only, "front"), bytes_of(only, "back")) == (front, back)


class WhileItStores(FileSystemStorage):
    """A slow storage, during whose work somebody else changes the instance."""

    def _save(self, name, content):
        Photo.objects.update(title="Changed meanwhile")
        Measured.objects.update(title="Changed meanwhile", cover="covers/attached-meanwhile.jpg")
        return super()._save(name, content)


@pytest.fixture
def while_it_stores(use_final_storage):
    use_final_storage(WhileItStores)


def test_a_worker_writes_only_the_images_columns(while_it_stores, in_memory):
    PhotoForm({"title": "Dune"}, {"image": in_memory()}).save()

    save_pending_uploads()

    photo = Photo.objects.get()
    assert (photo.title, bool(photo.image)) == ("Changed meanwhile", True)


def test_a_worker_writes_no_other_image(while_it_stores, in_memory):
    MeasuredForm({"title": "Dune"}, {"image": in_memory(data=pictures.jpeg(80, 40))}).save()

    save_pending_uploads()

    measured = Measured.objects.values().get()
    assert (measured["title"], measured["cover"], measured["width"]) == (
        "Changed meanwhile",
        "covers/attached-meanwhile.jpg",
        80,
    )
