"""A router that reads from a replica: uploads are in the database that is written to."""

import pytest
from django.forms import modelform_factory

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.project.models import Photo

pytestmark = pytest.mark.django_db(databases=["default", "other"])

PhotoForm = modelform_factory(Photo, AsyncImageModelForm, fields=["title", "image"])


class Replicated:
    """Writes everything to one database and reads from the other."""

    def db_for_read(self, model, **hints):
        return "other"

    def db_for_write(self, model, **hints):
        return "default"

    def allow_relation(self, one, other, **hints):
        return True


@pytest.fixture(autouse=True)
def replicated(settings):
    settings.DATABASE_ROUTERS = [f"{__name__}.Replicated"]


@pytest.fixture
def photo(in_memory):
    """A photo in both databases, as after replication, loaded from the replica."""
    photo = Photo.objects.using("default").create(title="Old", image=in_memory("old.jpg"))
    Photo(pk=photo.pk, title="Old", image=photo.image.name).save(using="other", force_insert=True)
    return Photo.objects.get()


def written(pk):
    """Return the photos of the database that is written to."""
    return Photo.objects.using("default").get(pk=pk)


def test_a_new_instance_and_its_image_are_written_to_one_database(in_memory):
    data = pictures.jpeg()

    photo = PhotoForm({"title": "Dune"}, {"image": in_memory(data=data)}).save()
    assert Upload.objects.using("default").count() == 1
    assert not Upload.objects.using("other").exists()
    assert save_pending_uploads() == 1

    assert pictures.stored(written(photo.pk).image) == data
    assert not Photo.objects.using("other").exists()


def test_an_instance_that_was_read_from_the_replica_is_written_where_it_belongs(photo, new):
    assert photo._state.db == "other"
    form = PhotoForm(*new, instance=photo)

    form.save()
    assert written(photo.pk).image.name == "photos/old.jpg"
    assert save_pending_uploads() == 1

    assert written(photo.pk).title == "New"
    assert written(photo.pk).image.name == "photos/new.jpg"
    assert Photo.objects.using("other").get().title == "Old"


def test_a_new_title_does_not_bring_back_the_old_image_of_the_replica(photo):
    Photo.objects.using("default").update(image="photos/newer.jpg")

    PhotoForm({"title": "New"}, instance=photo).save()

    assert written(photo.pk).title == "New"
    assert written(photo.pk).image.name == "photos/newer.jpg"


def test_a_form_looks_for_pending_uploads_in_the_database_that_is_written_to(photo, new):
    Photo.objects.using("other").update(image="")
    PhotoForm(*new, instance=photo).save()

    form = PhotoForm({"title": "Newer"}, instance=Photo.objects.get())

    assert form.is_valid()
