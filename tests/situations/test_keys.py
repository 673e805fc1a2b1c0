"""Primary keys: set as text, changed, chosen, and used again."""

import os
import pickle
import subprocess
import sys
import uuid

import pytest
from django.db import connection

from django_async_forms import uploads
from django_async_forms.models import Upload, has_upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.project.models import Coded, Country, Flag, Keyed, Photo, Shelved, Slugged
from tests.situations.forms import (
    async_form,
    async_saved,
    both,
    bytes_of,
    form_for,
    saved,
    uploads_for,
)
from tests.situations.models import Account, Avatar
from tests.worker import ROOT, staged_files

pytestmark = pytest.mark.django_db


def delete_past_django(instance):
    table, column = instance._meta.db_table, instance._meta.pk.column
    prepared = instance._meta.pk.get_db_prep_value(instance.pk, connection)
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {quote(table)} WHERE {quote(column)} = %s", [prepared])


# Set as text


@pytest.mark.parametrize("text", [lambda key: key.hex, str, lambda key: str(key).upper()])
def test_an_image_is_attached_under_a_key_that_was_set_as_text(text, image):
    key = uuid.uuid4()
    keyed = Keyed(pk=text(key))
    async_saved(Keyed, {}, {"image": image}, keyed)

    assert bytes_of(Keyed.objects.get(pk=key)) == image.data
    assert not Upload.objects.exists()
    assert keyed.pk == text(key)


@pytest.mark.parametrize("text", [lambda key: key.hex, str])
def test_an_upload_under_a_key_that_was_set_as_text_is_that_of_the_loaded_instance(text, image):
    key = uuid.uuid4()
    async_form(Keyed, {}, {"image": image}, Keyed(pk=text(key))).save()

    loaded = Keyed.objects.get(pk=key)

    assert uploads_for(loaded).count() == 1
    assert has_upload(loaded, Keyed._meta.get_field("image"))


def test_an_upload_under_a_number_that_was_set_as_text_is_that_of_the_loaded_instance(image):
    photo = Photo.objects.create(title="Dune", image="old.jpg")
    same = Photo.objects.get(pk=photo.pk)
    same.pk = f" {photo.pk} "
    uploads.save_image(image, same)

    assert uploads_for(photo).count() == 1


def test_a_second_form_with_the_key_as_text_supersedes_the_first(in_memory):
    key, newer = uuid.uuid4(), pictures.jpeg()
    async_form(Keyed, {}, {"image": in_memory()}, Keyed(pk=key)).save()
    same = Keyed.objects.get(pk=key)
    same.pk = key.hex
    async_form(Keyed, {}, {"image": in_memory(data=newer)}, same).save()

    assert Upload.objects.count() == 1
    save_pending_uploads()
    assert bytes_of(Keyed.objects.get(pk=key)) == newer


def test_deleting_an_instance_whose_key_is_text_discards_its_upload(image, staging):
    key = uuid.uuid4()
    keyed = async_form(Keyed, {}, {"image": image}, Keyed(pk=key.hex)).save()

    Keyed(pk=str(keyed.pk)).delete()

    assert not Upload.objects.exists()


def test_a_relation_for_a_key_can_be_set_by_its_column(image):
    Country.objects.create(code="XY")
    async_saved(Flag, {}, {"image": image}, Flag(country_id="XY"))

    assert bytes_of(Flag.objects.get()) == image.data


def test_a_relation_to_a_key_of_bytes_is_a_key(image):
    account = Account.objects.create(key=b"\x00\xff\x80a")
    async_saved(Avatar, {}, {"image": image}, Avatar(account=account))

    assert bytes_of(Avatar.objects.get()) == image.data


def test_a_key_of_two_columns_can_be_set_as_text(image):
    shelved = Shelved(shelf="a", position="3")
    async_form(Shelved, {}, {"image": image}, shelved).save()
    loaded = Shelved.objects.get(pk=("a", 3))
    assert uploads_for(loaded).count() == 1

    save_pending_uploads()

    assert bytes_of(loaded) == image.data


# Changed


@both
def test_an_instance_under_another_key_is_another_row_with_the_image_of_the_form(base, in_memory):
    old, new = pictures.jpeg(), pictures.jpeg()
    slugged = Slugged.objects.create(slug="first", image=in_memory("old.jpg", old))
    form = form_for(base, Slugged, {}, {"image": in_memory("new.jpg", new)}, slugged)
    slugged = form.save(commit=False)
    slugged.slug = "second"
    slugged.save()
    save_pending_uploads()

    assert bytes_of(Slugged.objects.get(slug="first")) == old
    assert bytes_of(Slugged.objects.get(slug="second")) == new


def test_a_pending_image_stays_with_its_row_when_a_copy_gets_another_key(image):
    slugged = async_form(Slugged, {"slug": "first"}, {"image": image}).save()

    slugged.slug = "second"
    slugged.save()
    save_pending_uploads()

    assert bytes_of(Slugged.objects.get(slug="first")) == image.data
    assert not Slugged.objects.get(slug="second").image


def test_a_key_that_changes_back_finds_its_upload(image):
    slugged = async_form(Slugged, {"slug": "first"}, {"image": image}).save()

    slugged.slug = "second"
    assert not uploads_for(slugged).exists()
    slugged.slug = "first"

    assert uploads_for(slugged).count() == 1


# Chosen


@both
@pytest.mark.parametrize(("model", "key"), [(Photo, 4711), (Keyed, uuid.UUID(int=4711))])
def test_a_key_can_be_chosen(base, model, key, image):
    saved(base, model, {"title": "Dune"}, {"image": image}, model(pk=key))

    assert bytes_of(model.objects.get(pk=key)) == image.data


@both
def test_a_new_instance_under_a_key_that_is_taken_ends_as_with_a_plain_form(base, in_memory):
    old, new = pictures.jpeg(), pictures.jpeg()
    Photo.objects.create(pk=4711, title="Old", image=in_memory("old.jpg", old))
    photo = Photo(pk=4711)
    saved(base, Photo, {"title": "New"}, {"image": in_memory("new.jpg", new)}, photo)

    photo = Photo.objects.get()
    assert (photo.title, bytes_of(photo)) == ("New", new)


# Used again


@pytest.mark.parametrize(
    ("model", "key"),
    [(Photo, 4711), (Photo, None), (Keyed, None)],
    ids=["a number that is chosen", "a number", "a UUID by default"],
)
def test_a_row_made_again_under_its_old_key_gets_its_own_image(model, key, in_memory, image):
    older = {"image": in_memory("older.jpg")}
    first = async_form(model, {"title": "Dune"}, older, model(pk=key) if key else None).save()
    delete_past_django(first)

    async_form(model, {"title": "Dune"}, {"image": image}, model(pk=first.pk)).save()

    assert [upload.name for upload in uploads_for(first)] == ["dune.jpg"]
    save_pending_uploads()
    assert bytes_of(first) == image.data


@pytest.mark.parametrize("new", ["A", "a"])
def test_a_key_that_differs_in_case_only_is_another_instances(new, image):
    async_form(Coded, {"code": "a"}, {"image": image}).save()
    if new == "A":
        async_form(Coded, {"code": "A"}).save()

    save_pending_uploads()

    assert bytes_of(Coded.objects.get(code="a")) == image.data
    assert [c.code for c in Coded.objects.filter(image="")] == (["A"] if new == "A" else [])


SETUP = """
import pickle, sys, django
from django.conf import settings
for database in settings.DATABASES.values():
    database["NAME"] = database["TEST"]["NAME"]
settings.INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django_async_forms",
    "tests.project.apps.ProjectConfig",
]
django.setup()
from tests.project.models import Country, Slugged
"""
CHECK = """
from django_async_forms.forms import AsyncImageModelForm
assert not AsyncImageModelForm.__subclasses__()
"""


@pytest.fixture
def elsewhere(transactional_db):
    """Executes a statement in another process that imports no form, on the test's database."""

    def execute(statement):
        code = "\n".join([SETUP, statement, CHECK])
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.project.settings"}
        subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=environment)

    return execute


def test_a_process_without_forms_discards_the_upload_of_an_instance_that_it_deletes(
    elsewhere, image
):
    async_form(Slugged, {"slug": "again"}, {"image": image}).save()

    elsewhere("Slugged.objects.get(slug='again').delete()")

    assert not Upload.objects.exists()
    assert not staged_files()


def test_a_key_used_again_by_a_process_without_forms_does_not_get_the_old_image(elsewhere, image):
    async_form(Slugged, {"slug": "again"}, {"image": image}).save()

    elsewhere("Slugged.objects.all().delete(); Slugged.objects.create(slug='again')")
    save_pending_uploads()

    assert not Slugged.objects.get().image


def test_a_process_without_forms_deletes_related_instances(elsewhere, image):
    country = Country.objects.create(code="XY")
    async_form(Flag, {}, {"image": image}, Flag(country=country)).save()

    elsewhere("Country.objects.all().delete()")

    assert not Upload.objects.exists()


def test_a_process_without_forms_saves_a_pickled_instance_and_no_old_name(
    elsewhere, image, tmp_path
):
    photo = Photo.objects.create(title="Old", image="old.jpg")
    photo = async_form(Photo, {"title": "New"}, {"image": image}, photo).save()
    (tmp_path / "photo").write_bytes(pickle.dumps(photo))
    save_pending_uploads()
    name = Photo.objects.get().image.name

    elsewhere(
        f"photo = pickle.load(open({str(tmp_path / 'photo')!r}, 'rb')); "
        "photo.title = 'Newest'; photo.save()"
    )

    photo = Photo.objects.get()
    assert (photo.title, photo.image.name) == ("Newest", name)
