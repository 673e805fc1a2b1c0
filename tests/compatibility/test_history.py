"""django-simple-history records each version, and the new image once it is attached."""

import pytest

from django_async_forms.test import save_pending_uploads
from tests.both import async_form

from . import libraries

libraries.need("django-simple-history")

from .models.history import Recorded  # noqa: E402

pytestmark = pytest.mark.django_db


def records():
    """Return title and image of each record, the oldest first."""
    return list(Recorded.history.order_by("history_id").values_list("title", "image"))


def test_a_new_instance_has_a_record_and_its_image_another(in_memory):
    async_form(Recorded, {"title": "Dune"}, {"image": in_memory()}).save()
    assert records() == [("Dune", "")]

    save_pending_uploads()
    assert records() == [("Dune", ""), ("Dune", "recorded/dune.jpg")]


def test_a_change_has_a_record_with_the_old_image_and_then_one_with_the_new(in_memory, new):
    recorded = Recorded.objects.create(title="Old", image=in_memory("old.jpg"))

    async_form(Recorded, *new, recorded).save()
    save_pending_uploads()

    assert records() == [
        ("Old", "recorded/old.jpg"),
        ("New", "recorded/old.jpg"),
        ("New", "recorded/new.jpg"),
    ]


def test_the_latest_record_is_that_of_a_plain_form(alike):
    latest = []

    def case(way):
        way.replace(Recorded)
        record = Recorded.history.latest()
        latest.append((record.title, record.image))

    alike(case, Recorded)
    assert latest[0] == latest[1]


def test_a_form_without_an_image_has_one_record(in_memory):
    recorded = Recorded.objects.create(title="Old", image=in_memory("old.jpg"))

    async_form(Recorded, {"title": "New"}, {}, recorded).save()

    assert records()[1:] == [("New", "recorded/old.jpg")]
