"""
An image that is set back to an earlier one is written, whatever happened in between.

Each test runs with Django's own form, which defines the right result, and with ours.
"""

import copy

import pytest

from django_async_forms.test import save_pending_uploads
from tests.both import form_for, names
from tests.project.models import Photo

pytestmark = pytest.mark.django_db


def set_it(photo, name):
    photo.image = name
    photo.save()


def test_an_image_is_set_back_after_a_refresh(base, old, in_memory):
    photo = form_for(base, Photo, {"title": "Dune"}, instance=old).save()
    Photo.objects.get().image.save("newer.jpg", in_memory("newer.jpg"))
    photo.refresh_from_db()
    set_it(photo, "photos/old.jpg")

    assert names() == ["photos/old.jpg"]


def test_an_image_is_set_back_after_the_worker_and_a_refresh(base, old, in_memory):
    photo = form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    save_pending_uploads()
    photo.refresh_from_db()
    assert photo.image.name == "photos/new.jpg"
    set_it(photo, "photos/old.jpg")

    assert names() == ["photos/old.jpg"]


in_two_transactions = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda photo: photo, id="one transaction"),
        pytest.param(lambda photo: photo, id="two transactions", marks=in_two_transactions),
        pytest.param(copy.copy, id="a copy", marks=in_two_transactions),
    ],
)
def test_an_image_is_set_and_set_back(use, base, old):
    photo = use(form_for(base, Photo, {"title": "Dune"}, instance=old).save())
    set_it(photo, "photos/other.jpg")
    set_it(photo, "photos/old.jpg")

    assert names() == ["photos/old.jpg"]


def test_an_image_is_set_and_set_back_beside_a_form_that_waits(base, old):
    form = form_for(base, Photo, {"title": "Dune"}, {}, old, ["title", "image"])
    assert form.is_valid()
    set_it(old, "photos/other.jpg")
    old.image = "photos/old.jpg"
    form.save()

    assert names() == ["photos/old.jpg"]


# Saves without a change leave the attached image


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "with its key as text"])
def test_a_saved_instance_is_saved_again(raw, base, old, in_memory):
    photo = form_for(base, Photo, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    save_pending_uploads()
    if raw:
        photo.save_base(raw=True)
    else:
        photo.pk = str(photo.pk)
        photo.save()

    assert names() == ["photos/new.jpg"]
