"""
Changes before a form is made or validated end as in plain Django.

Django's own form defines the right result: a test runs with both forms, or compares their results.
"""

import pytest
from django.db.models.signals import pre_save

from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.both import form_for
from tests.habits.models import Noting
from tests.project.models import Measured, OnlyImages, Place, Restaurant
from tests.test_change_images_in_place import (  # noqa: F401
    BEFORE,
    UNTIL_VALIDATION,
    assign_a_file,
    assign_none,
    assign_nothing,
    both_ways,
    delete_without_commit,
    every_change,
    make_old,
    save_without_commit,
    send,
    set_the_dimensions,
)

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("moment", BEFORE)
@every_change
def test_a_change_before_the_form_is_written(change, moment, both_ways):  # noqa: F811
    plain, ours = both_ways(lambda base, old: moment(base, Measured.objects.get(), change))

    assert ours == plain


@pytest.mark.parametrize("moment", BEFORE)
@pytest.mark.parametrize("change", [save_without_commit, delete_without_commit])
def test_a_change_before_the_form_is_newer_than_a_pending_image(
    change,
    moment,
    both_ways,  # noqa: F811
    in_memory,
):
    def case(base, old):
        send(base, old, in_memory)
        moment(base, Measured.objects.get(), change)

    plain, ours = both_ways(case)

    assert ours[:2] == plain[:2]


@pytest.mark.parametrize("moment", UNTIL_VALIDATION)
@pytest.mark.parametrize("change", [assign_none, assign_nothing, assign_a_file, set_the_dimensions])
def test_a_form_that_is_validated_puts_the_old_image_back(change, moment, both_ways):  # noqa: F811
    plain, ours = both_ways(lambda base, old: moment(base, Measured.objects.get(), change))

    assert ours == plain


@every_change
def test_a_change_of_a_loaded_instance_is_kept_beside_a_form_of_another_field(
    change,
    both_ways,  # noqa: F811
    in_memory,
):
    def case(base, old):
        change(old)
        files = {"cover": in_memory("cover.jpg", pictures.jpeg(20, 10))}
        form_for(base, Measured, {"title": "Dune"}, files, old).save()
        save_pending_uploads()
        assert Measured.objects.get().cover_width == 20

    plain, ours = both_ways(case)

    assert ours == plain


def test_a_change_of_a_parents_image_is_written_beside_a_childs(base, in_memory):
    Restaurant.objects.create(name="Old", image=in_memory("old.jpg"), menu=in_memory("menu.jpg"))
    loaded = Restaurant.objects.get()
    loaded.image.delete(save=False)
    files = {"menu": in_memory("new-menu.jpg")}
    form_for(base, Restaurant, {"name": "Sietch"}, files, loaded).save()
    save_pending_uploads()

    restaurant = Restaurant.objects.get()
    assert (restaurant.image.name, restaurant.menu.name) == ("", "menus/new-menu.jpg")
    assert Place.objects.get().image.name == ""


def test_two_images_are_changed_in_two_ways(base, in_memory):
    OnlyImages.objects.create(front=in_memory("front.jpg"), back=in_memory("back.jpg"))
    only = OnlyImages.objects.get()
    only.front.name = "only/elsewhere.jpg"
    only.back.delete(save=False)

    form_for(base, OnlyImages, {}, {}, only, ["front", "back"]).save()

    only = OnlyImages.objects.get()
    assert (only.front.name, only.back.name) == ("only/elsewhere.jpg", "")


def test_json_that_a_receiver_changes_in_place_is_written(connect, base, in_memory):
    # The first image that a worker saves must not affect a receiver that is connected later.
    form_for(base, Noting, {"title": "First"}, {"image": in_memory("first.jpg")}).save()
    save_pending_uploads()
    Noting.objects.all().delete()

    def note(instance, **kwargs):
        if instance.image and not instance.image._committed:
            instance.notes["seen"] = {"by": [instance.image.name]}

    connect(pre_save, note, Noting)
    form_for(base, Noting, {"title": "Dune"}, {"image": in_memory()}).save()
    save_pending_uploads()

    assert Noting.objects.get().notes == {"names": ["dune.jpg"], "seen": {"by": ["dune.jpg"]}}
