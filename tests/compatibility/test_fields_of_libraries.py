"""The image fields of other packages store the same as for a plain form."""

import os

import pytest
from django.forms import modelform_factory

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.both import async_form
from tests.worker import wait_until_no_upload_is_left

from . import libraries
from .conftest import with_worker

#: The models with a field of another package, and the packages.
FIELDS = {
    "Processed": "django-imagekit",
    "Specified": "django-imagekit",
    "Varied": "django-stdimage",
    "Pictured": "django-pictures",
    "Resized": "django-resized",
    "Thumbnailed": "easy-thumbnails",
    "Versatile": "django-versatileimagefield",
    "Sorted": "sorl-thumbnail",
}

#: Models that do such work by their own code.
OWN = ["Grey", "SmallBeforeSave", "SmallBySignal", "SmallInPlace"]

pytestmark = [
    pytest.mark.django_db,
    # django-versatileimagefield does not close the files of which it makes renditions.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(params=[*FIELDS, *OWN])
def field_model(request, model):
    """Each model with a field of another package, or with code of its own."""
    return model(request.param, FIELDS.get(request.param))


def image_for(model, uploaded):
    """Return the files that a browser sends: one field has a widget with two inputs."""
    is_double = model.__name__ == "Versatile"
    return {"image_0" if is_double else "image": uploaded}


# What a project does with an image: each case is done with a plain form, and with ours


def is_new(way, model):
    return way.save(model, {"title": "Dune"}, image_for(model, way.upload()))


def replaces_another(way, model):
    old = way.save(model, {"title": "Old"}, image_for(model, way.upload("old.jpg", 40, 40, 1)))
    way.save(model, {"title": "New"}, image_for(model, way.upload("new.jpg", 80, 50, 2)), old)


def is_saved_in_two_steps(way, model):
    form = way.form(model, {"title": "Dune"}, image_for(model, way.upload()))
    instance = form.save(commit=False)
    instance.title = "Set by the view"
    instance.save()
    way.work()


def is_cleared(way, model):
    clear = "image_0-clear" if model.__name__ == "Versatile" else "image-clear"
    way.save(model, {"title": "New", clear: "on"}, {}, is_new(way, model))


def stays(way, model):
    way.save(model, {"title": "New"}, {}, is_new(way, model))


@pytest.mark.parametrize(
    ("case", "uploads"),
    [(is_new, 1), (replaces_another, 2), (is_saved_in_two_steps, 1), (is_cleared, 1), (stays, 1)],
)
def test_an_image_is_stored_as_for_a_plain_form_that(case, uploads, field_model, alike):
    ours = alike(lambda way: case(way, field_model), field_model)

    assert ours.uploads == uploads
    assert bool(ours.columns[0]["image"]) == (case is not is_cleared)


def test_a_new_image_is_stored_by_a_save_that_makes_it_small_each_time(model, alike):
    small_always = model("SmallAlways")

    assert alike(lambda way: is_new(way, small_always), small_always).files


def test_a_point_of_interest_is_kept_for_an_image_that_stays(model, alike):
    versatile = model("Versatile", "django-versatileimagefield")

    def case(way):
        instance = way.save(versatile, {"title": "Old"}, {"image_0": way.upload()})
        way.save(versatile, {"title": "New", "image_1": "0.2x0.8"}, {}, instance)

    ours = alike(case, versatile)

    assert ours.columns[0]["ppoi"] == (0.2, 0.8)


@pytest.mark.parametrize("limit", [{"MAX_BYTES": 100}, {"MAX_PIXELS": 100}, {"MAX_BACKLOG": 1}])
def test_an_image_with_its_point_of_interest_is_limited_when_it_is_new(
    model, limits, limit, in_memory
):
    versatile = model("Versatile", "django-versatileimagefield")
    form_class = modelform_factory(versatile, form=AsyncImageModelForm, fields=["title", "image"])
    image = {"image_0": in_memory("dune.jpg")}
    pending = form_class({"title": "Dune"}, image).save()
    limits(**limit)

    assert not form_class({"title": "Dune"}, image).is_valid()
    assert form_class({"title": "Reef", "image_1": "0.2x0.8"}, {}, instance=pending).is_valid()


def test_an_old_image_that_a_form_would_remove_is_left_in_the_storage(model, both_ways):
    varied = model("VariedWithoutOrphans", "django-stdimage")

    def case(way):
        way.replace(varied)

    plain, ours = both_ways(case, varied)

    assert ours.columns == plain.columns
    assert set(ours.files) - set(plain.files) == {"varied/old.jpg", "varied/old.small.jpg"}


def test_a_page_can_ask_for_a_thumbnail_once_the_image_is_attached(model, in_memory):
    sorl = model("Sorted", "sorl-thumbnail")
    from sorl.thumbnail import get_thumbnail

    instance = async_form(sorl, {}, {"image": in_memory()}).save()
    save_pending_uploads()
    instance.refresh_from_db()

    assert get_thumbnail(instance.image, "16x12").width == 16


# With real workers


@pytest.mark.django_db(transaction=True)
@with_worker
@pytest.mark.parametrize(
    "name", ["Processed", "Specified", "Varied", "Pictured", "Resized", "Thumbnailed", "Versatile"]
)
def test_only_a_worker_does_the_work_of_a_field(
    name, model, worker, witness, in_memory, use_final_storage
):
    use_final_storage("tests.project.witness.WitnessStorage")
    field_model = model(name, FIELDS[name])
    form_class = modelform_factory(field_model, AsyncImageModelForm, fields=["image"])
    files = image_for(field_model, in_memory(data=pictures.jpeg()))

    form_class({}, files).save()
    wait_until_no_upload_is_left()

    for what in (FIELDS[name], "stored"):
        assert witness.notes(what)
        assert all(process != os.getpid() for process, _ in witness.notes(what))
        assert {group for _, group in witness.notes(what)} == {worker.group}


def test_all_libraries_are_tested():
    from . import models

    assert set(FIELDS.values()) <= set(models.MODULES) <= set(libraries.LIBRARIES)
