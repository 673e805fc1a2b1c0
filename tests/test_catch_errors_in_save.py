"""
After an error that a save() or a view catches, the transaction is usable as in plain Django.

Each test runs with Django's own form, which defines the right result, and with ours.
"""

import pytest
from django import forms
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models.signals import post_save, pre_save
from django.forms import modelform_factory
from django.http import HttpResponse
from django.urls import path
from django.views.generic import CreateView

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.both import form_for, without_chance
from tests.habits.models import Durable, Strict, Trying, TryingInTransaction
from tests.project.models import Photo, Slugged

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_catch_errors_in_save")]

#: For code that must be in the outermost transaction.
outermost = pytest.mark.django_db(transaction=True)


def images(model):
    return [without_chance(one.image.name) for one in model.objects.order_by("pk")]


# A save() that catches


@outermost
def test_a_save_tries_another_slug_after_an_integrity_error(base, in_memory):
    for number in range(3):
        files = {"image": in_memory(f"{number}.jpg")}
        form_for(base, Trying, {"title": "dune"}, files).save()
    save_pending_uploads()

    assert list(Trying.objects.order_by("pk").values_list("slug", flat=True)) == [
        "dune",
        "dune-2",
        "dune-3",
    ]
    assert images(Trying) == ["habits/0.jpg", "habits/1.jpg", "habits/2.jpg"]


@outermost
def test_an_update_tries_another_slug_after_an_integrity_error(base, in_memory):
    Trying.objects.create(title="dune")
    old = Trying.objects.create(title="moon", image=in_memory("old.jpg"))
    files = {"image": in_memory("new.jpg")}
    trying = form_for(base, Trying, {"title": "dune"}, files, old).save(commit=False)
    trying.slug = ""
    trying.save()
    save_pending_uploads()

    old.refresh_from_db()
    assert (old.slug, old.image.name) == ("dune-2", "habits/new.jpg")


def test_a_save_with_savepoints_tries_another_slug_in_a_transaction(base, in_memory):
    with transaction.atomic():
        for number in range(2):
            files = {"image": in_memory(f"{number}.jpg")}
            form_for(base, TryingInTransaction, {"title": "dune"}, files).save()
    save_pending_uploads()

    assert images(Trying) == ["habits/0.jpg", "habits/1.jpg"]
    assert not Upload.objects.exists()


@outermost
@pytest.mark.parametrize("has_old", [True, False], ids=["update", "create"])
def test_a_save_opens_a_durable_block(base, has_old, in_memory):
    old = Durable.objects.create(title="Old", image=in_memory("old.jpg")) if has_old else None
    form_for(base, Durable, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    save_pending_uploads()

    assert images(Durable) == ["habits/new.jpg"]


@outermost
@pytest.mark.parametrize("signal", [pre_save, post_save], ids=["pre_save", "post_save"])
def test_a_receiver_opens_a_durable_block(connect, base, signal, in_memory):
    def audit(**kwargs):
        with transaction.atomic(durable=True):
            Slugged.objects.get_or_create(slug="audit")

    connect(signal, audit, Photo)
    form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}).save()
    save_pending_uploads()

    assert images(Photo) == ["photos/new.jpg"]
    assert Slugged.objects.count() == 1


# A view that catches, in its transaction


@pytest.mark.parametrize("commit", [True, False], ids=["commit", "without commit"])
def test_a_validation_error_before_the_write_is_caught_in_a_transaction(base, commit, in_memory):
    with transaction.atomic():
        form = form_for(base, Strict, {"title": "bad"}, {"image": in_memory()})
        with pytest.raises(ValidationError):
            if commit:
                form.save()
            else:
                form.save(commit=False).save()
        assert Strict.objects.count() == 0  # A query of the page.

    assert not Upload.objects.exists()


def test_a_validation_error_after_the_write_is_caught_in_a_transaction(base, in_memory):
    with transaction.atomic():
        form = form_for(base, Strict, {"title": "bad afterwards"}, {"image": in_memory()})
        with pytest.raises(ValidationError):
            form.save()
        assert Strict.objects.count() == 1
    Strict.objects.update(title="good")  # The worker's save() would refuse it as well.
    save_pending_uploads()

    assert images(Strict) == ["habits/dune.jpg"]


def test_an_instance_is_saved_after_its_validation_error_was_caught(base, in_memory):
    with transaction.atomic():
        form = form_for(base, Strict, {"title": "bad"}, {"image": in_memory()})
        with pytest.raises(ValidationError):
            form.save()
        form.instance.title = "good"
        form.instance.save()
    save_pending_uploads()

    assert images(Strict) == ["habits/dune.jpg"]


@pytest.mark.parametrize("signal", [pre_save, post_save], ids=["pre_save", "post_save"])
def test_an_error_of_a_receiver_is_caught_in_a_transaction(connect, base, signal, in_memory):
    def fail(**kwargs):
        raise ZeroDivisionError

    connect(signal, fail, Photo)
    with transaction.atomic():
        form = form_for(base, Photo, {"title": "Dune"}, {"image": in_memory()})
        with pytest.raises(ZeroDivisionError):
            form.save()
        assert Photo.objects.count() == (0 if signal is pre_save else 1)


def test_an_integrity_error_in_a_savepoint_is_caught_and_the_form_saved_again(base, in_memory):
    Slugged.objects.create(slug="dune")
    with transaction.atomic():
        form = form_for(base, Slugged, {"slug": "moon"}, {"image": in_memory()})
        assert form.is_valid()
        form.instance.slug = "dune"
        slugged = form.save(commit=False)
        with pytest.raises(IntegrityError), transaction.atomic():
            slugged.save(force_insert=True)
        slugged.slug = "moon"
        slugged.save(force_insert=True)
    save_pending_uploads()

    assert Slugged.objects.get(slug="moon").image.name == "slugged/dune.jpg"
    assert not Slugged.objects.get(slug="dune").image


@outermost
def test_an_image_that_cannot_be_staged_marks_the_transaction_for_rollback(
    in_memory, staging_is_a_file
):
    with transaction.atomic():
        form = form_for(AsyncImageModelForm, Photo, {"title": "Dune"}, {"image": in_memory()})
        with pytest.raises(OSError, match="staging"):
            form.save()
        assert connection.needs_rollback

    assert not Photo.objects.exists()
    assert not Upload.objects.exists()


# The same, by a whole request under ATOMIC_REQUESTS


class CatchingView(CreateView):
    model = Strict
    template_name = "django_async_forms/form.html"
    success_url = "/done/"

    def form_valid(self, form):
        instance = form.save(commit=False)
        try:
            instance.save()
        except ValidationError as error:
            form.add_error(None, error)
            return HttpResponse(f"{Strict.objects.count()} saved: {form.non_field_errors()}")
        return HttpResponse("saved")


def view(base):
    form_class = modelform_factory(Strict, base, fields=["title", "image"])
    return CatchingView.as_view(form_class=form_class)


urlpatterns = [path("plain/", view(forms.ModelForm)), path("async/", view(AsyncImageModelForm))]

by_page = pytest.mark.parametrize("page", ["/plain/", "/async/"])


@pytest.fixture
def atomic_requests(monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)


def post(client, page, title):
    image = pictures.as_file(pictures.jpeg())
    image.name = "dune.jpg"
    return client.post(page, {"title": title, "image": image})


@by_page
def test_a_page_shows_the_error_that_a_view_has_caught(page, client, atomic_requests):
    response = post(client, page, "bad")

    assert response.status_code == 200
    assert b"0 saved" in response.content
    assert b"No bad titles." in response.content
    assert not Upload.objects.exists()


@by_page
def test_a_page_shows_the_error_that_a_view_has_caught_after_the_write(
    page, client, atomic_requests
):
    assert b"1 saved" in post(client, page, "bad afterwards").content
    Strict.objects.update(title="good")  # The worker's save() would refuse it as well.
    save_pending_uploads()

    assert images(Strict) == ["habits/dune.jpg"]


@by_page
def test_a_page_that_catches_nothing_is_saved(page, client, atomic_requests):
    assert post(client, page, "good").content == b"saved"
    save_pending_uploads()

    assert images(Strict) == ["habits/dune.jpg"]
