"""
An overridden save() chooses the columns that it writes, and returns a value.

Each test runs with Django's own form, which defines the right result, and with ours.
"""

import pytest
from django.db import transaction

from django_async_forms.test import save_pending_uploads
from tests.both import form_for, names
from tests.habits.models import Guarded, Upserted

pytestmark = pytest.mark.django_db


@pytest.fixture
def old(in_memory):
    return Guarded.objects.create(title="Old", image=in_memory("old.jpg"))


@pytest.mark.parametrize("title", ["Dune", "Old"], ids=["with a new title", "alone"])
def test_a_model_that_writes_only_changed_columns_gets_its_image(base, title, old, in_memory):
    form_for(base, Guarded, {"title": title}, {"image": in_memory("new.jpg")}, old).save()
    save_pending_uploads()

    assert (Guarded.objects.get().title, names(Guarded)) == (title, ["habits/new.jpg"])


def test_a_model_that_writes_only_changed_columns_gets_its_image_after_a_rollback(
    base, old, in_memory
):
    form = form_for(base, Guarded, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        form.save()
        raise ZeroDivisionError
    form.save()
    save_pending_uploads()

    assert (Guarded.objects.get().title, names(Guarded)) == ("Dune", ["habits/new.jpg"])


def test_a_model_whose_save_returns_something_returns_it(base, in_memory):
    unsaved = form_for(base, Upserted, {"title": "Dune"}, {"image": in_memory("new.jpg")}).save(
        commit=False
    )

    assert unsaved.save(note="by hand") is unsaved


def test_a_name_that_a_view_gives_is_that_of_an_image_that_alone_has_changed(base, old, in_memory):
    form = form_for(base, Guarded, {"title": "Old"}, {"image": in_memory("new.jpg")}, old)
    unsaved = form.save(commit=False)
    unsaved.image.name = "by-hand.jpg"
    unsaved.save()
    save_pending_uploads()

    assert names(Guarded) == ["habits/by-hand.jpg"]
