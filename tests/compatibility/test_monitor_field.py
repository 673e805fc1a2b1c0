"""django-model-utils: a MonitorField has the time of the image's change, as with a plain form."""

import pytest

from django_async_forms.test import save_pending_uploads
from tests.both import async_form, both, form_for

from . import libraries

libraries.need("django-model-utils")

from .models.tracker import Monitored  # noqa: E402

pytestmark = pytest.mark.django_db


@pytest.fixture
def old(in_memory):
    """A row whose image has never changed."""
    Monitored.objects.create(title="Old", image=in_memory("old.jpg"))
    Monitored.objects.update(image_changed=None)
    return Monitored.objects.get()


@both
def test_a_monitor_field_notes_a_new_image(base, old, in_memory):
    form_for(base, Monitored, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    save_pending_uploads()

    monitored = Monitored.objects.get()
    assert monitored.image.name == "monitored/new.jpg"
    assert monitored.image_changed is not None


@both
def test_a_monitor_field_notes_the_image_of_a_new_row(base, in_memory):
    form_for(base, Monitored, {"title": "Dune"}, {"image": in_memory("new.jpg")}).save()
    save_pending_uploads()

    assert Monitored.objects.get().image_changed is not None


@both
def test_a_monitor_field_notes_an_image_that_is_cleared(base, old):
    data = {"title": "Dune", "image-clear": "on"}
    form_for(base, Monitored, data, {}, old, ["title", "image"]).save()

    monitored = Monitored.objects.get()
    assert not monitored.image
    assert monitored.image_changed is not None


@both
def test_a_monitor_field_notes_nothing_where_the_image_stays(base, old):
    form_for(base, Monitored, {"title": "Dune"}, {}, old, ["title", "image"]).save()

    assert Monitored.objects.get().image_changed is None


@both
def test_a_monitor_field_of_the_title_notes_nothing_for_an_image(base, old, in_memory):
    form_for(base, Monitored, {"title": "Dune"}, {"image": in_memory("new.jpg")}, old).save()
    save_pending_uploads()

    assert Monitored.objects.get().published_changed is None


def test_a_monitor_field_is_changed_when_the_image_is_attached(old, in_memory):
    async_form(Monitored, {}, {"image": in_memory("new.jpg")}, old).save()
    assert Monitored.objects.get().image_changed is None

    save_pending_uploads()

    assert Monitored.objects.get().image_changed is not None
