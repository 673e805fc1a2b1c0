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
@pytest.mark.parametrize(
    ("has_old", "clear", "name", "is_noted"),
    [
        (True, {}, "new.jpg", True),
        (False, {}, "new.jpg", True),
        (True, {"image-clear": "on"}, None, True),
        (True, {}, None, False),
    ],
    ids=["a new image", "a new row", "a cleared image", "an image that stays"],
)
def test_a_monitor_field_notes_a_change_of_the_image(
    has_old, clear, name, is_noted, base, old, in_memory
):
    files = {"image": in_memory(name)} if name else {}
    data, instance = {"title": "Dune", **clear}, old if has_old else None
    monitored = form_for(base, Monitored, data, files, instance, ["title", "image"]).save()
    save_pending_uploads()

    monitored = Monitored.objects.get(pk=monitored.pk)
    assert (monitored.image_changed is not None) == is_noted
    assert monitored.image.name == ("" if clear else f"monitored/{name or 'old.jpg'}")
    assert monitored.published_changed is None  # It follows the title alone.


def test_a_monitor_field_is_changed_when_the_image_is_attached(old, in_memory):
    async_form(Monitored, {}, {"image": in_memory("new.jpg")}, old).save()
    assert Monitored.objects.get().image_changed is None

    save_pending_uploads()

    assert Monitored.objects.get().image_changed is not None
