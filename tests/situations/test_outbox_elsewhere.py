"""Databases without the outbox, and messages for uploads that another database or schema has."""

import logging
import uuid

import pytest
from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import QuerySet

from django_async_forms import models as outbox
from django_async_forms.models import AbandonedName, StoredChunk, Upload, has_outbox
from django_async_forms.tasks import save_image_task
from django_async_forms.test import save_pending_uploads
from tests.project.models import Elsewhere, Photo
from tests.situations.forms import async_form, bytes_of, loaded, uploads_for
from tests.situations.models import Elevated, Validated

pytestmark = pytest.mark.django_db(databases=["default", "other"])


def deliver(key, using="default"):
    save_image_task.apply(args=[str(key), using], throw=False)


# Messages


@pytest.fixture
def warnings(caplog):
    """The package's messages at WARNING or above."""
    caplog.set_level(logging.WARNING, "django_async_forms")
    return lambda: caplog.messages


def test_a_message_for_an_upload_that_is_not_there_is_a_warning_that_names_the_database(warnings):
    key = uuid.uuid4()

    deliver(key)

    (message,) = warnings()
    assert str(key) in message
    assert "the database default" in message


def test_a_message_that_names_the_wrong_database_is_a_warning_and_leaves_the_upload(
    warnings, image
):
    photo = async_form(Photo, {"title": "x"}, {"image": image}).save()
    (upload,) = uploads_for(photo)

    deliver(upload.pk, "other")

    (message,) = warnings()
    assert "the database other" in message
    (upload,) = uploads_for(photo)
    assert (upload.state, upload.attempts) == (Upload.State.PENDING, 0)


def test_a_second_message_for_an_attached_upload_is_a_warning(warnings, image):
    photo = async_form(Photo, {"title": "x"}, {"image": image}).save()
    (upload,) = uploads_for(photo)
    deliver(upload.pk)
    assert warnings() == []

    deliver(upload.pk)

    (message,) = warnings()
    assert str(upload.pk) in message


def test_a_message_for_a_database_that_is_not_configured_is_a_warning(warnings):
    deliver(uuid.uuid4(), "nowhere")

    assert len(warnings()) == 1


def test_each_databases_uploads_are_attached_in_it(image):
    elevated = async_form(Elevated, {"title": "x"}, {"image": image}).save()
    assert Upload.objects.using("other").count() == 1
    assert not Upload.objects.using("default").exists()

    save_pending_uploads("other")

    assert bytes_of(elevated) == image.data


# Databases without the outbox


@pytest.fixture
def without_outbox(monkeypatch):
    """Removes the outbox from the second database, which another application owns."""
    outbox.forget_outboxes()
    tables = connections["other"].introspection.table_names
    ours = {model._meta.db_table for model in (Upload, StoredChunk, AbandonedName)}
    monkeypatch.setattr(
        connections["other"].introspection,
        "table_names",
        lambda *args, **kwargs: [name for name in tables(*args, **kwargs) if name not in ours],
    )

    def refuse(execute, sql, params, many, context):
        assert Upload._meta.db_table not in sql, f"There is no such table: {sql}"
        return execute(sql, params, many, context)

    with connections["other"].execute_wrapper(refuse):
        yield
    outbox.forget_outboxes()


def delete_each(rows):
    for row in rows:
        row.delete()


@pytest.mark.parametrize("delete", [delete_each, QuerySet.delete])
def test_instances_are_deleted_in_a_database_without_the_outbox(delete, without_outbox):
    for title in "abc":
        Elsewhere.objects.create(title=title, image="x.jpg")

    delete(Elsewhere.objects.all())

    assert not Elsewhere.objects.exists()


def test_an_instance_is_saved_in_a_database_without_the_outbox(without_outbox):
    elsewhere = Elsewhere.objects.create(title="x", image="x.jpg")
    elsewhere.title = "y"
    elsewhere.save()

    assert Elsewhere.objects.get().title == "y"


def test_an_instance_without_its_image_is_invalid_in_a_database_without_the_outbox(
    without_outbox,
):
    elsewhere = Elsewhere.objects.create(title="x")

    with pytest.raises(ValidationError) as refused:
        elsewhere.full_clean()
    assert set(refused.value.message_dict) == {"image"}


def test_a_model_that_validates_itself_says_so_in_a_database_without_the_outbox(without_outbox):
    entry = Validated(title="x", width=1, height=1)

    with pytest.raises(ValidationError):
        entry.save(using="other")


def test_a_database_gets_its_outbox_while_the_process_runs(monkeypatch, image):
    outbox.forget_outboxes()
    introspection = connections["other"].introspection
    with monkeypatch.context() as patch:
        patch.setattr(introspection, "table_names", lambda *args, **kwargs: [])
        assert not has_outbox("other")

    elevated = async_form(Elevated, {"title": "x"}, {"image": image}).save()
    loaded(elevated).delete()

    assert not Upload.objects.using("other").exists()


def test_each_schema_is_asked_for_its_outbox(monkeypatch):
    outbox.forget_outboxes()
    monkeypatch.setattr(connections["other"], "schema_name", "blue", raising=False)
    assert has_outbox("other")
    monkeypatch.setattr(connections["other"], "schema_name", "public")
    monkeypatch.setattr(connections["other"].introspection, "table_names", lambda *args: [])

    assert not has_outbox("other")


def test_a_database_with_the_outbox_is_asked_once(monkeypatch, django_assert_num_queries):
    outbox.forget_outboxes()
    has_outbox("default")

    with django_assert_num_queries(0):
        assert has_outbox("default")
