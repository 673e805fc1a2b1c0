"""What ``TELEMETRY`` names observes uploads, and never stands in their way."""

from contextlib import contextmanager, suppress

import pytest

from django_async_forms.models import Upload
from tests import pictures
from tests.both import async_form
from tests.project.models import Photo
from tests.worker import work_on

pytestmark = pytest.mark.django_db

#: What observers were told at the end of each step.
told = []


@contextmanager
def watches(step, upload):
    try:
        yield
    except Exception as error:
        told.append((step, error))
        raise
    else:
        told.append((step, None))


def raises_when_called(step, upload):
    raise OSError("the collector is away")


@contextmanager
def raises_before(step, upload):
    raise OSError("the collector is away")
    yield


@contextmanager
def raises_after(step, upload):
    yield
    raise OSError("the collector is away")


@contextmanager
def raises_always(step, upload):
    try:
        yield
    finally:
        raise OSError("the collector is away")


@contextmanager
def hides_errors(step, upload):
    with suppress(Exception):
        yield


BROKEN = [raises_when_called, raises_before, raises_after, raises_always, hides_errors]


@pytest.fixture(autouse=True)
def observers(settings):
    """Sets the observers, by their names in this file; returns what they were told."""
    told.clear()

    def observe(*functions):
        paths = [f"{__name__}.{function.__name__}" for function in functions]
        settings.ASYNC_FORMS = {"TELEMETRY": paths, "MAX_ATTEMPTS": 1}
        return told

    return observe


@pytest.mark.parametrize("broken", BROKEN)
def test_an_observer_that_raises_keeps_no_image_from_being_saved(observers, broken, in_memory):
    data = pictures.jpeg()
    observers(broken, watches)

    async_form(Photo, {"title": "Dune"}, {"image": in_memory(data=data)}).save()
    work_on(Upload.objects.get())

    assert pictures.stored(Photo.objects.get().image) == data
    assert told == [("stage", None), ("attach", None)]


@pytest.mark.parametrize("broken", BROKEN)
def test_an_observer_that_raises_hides_no_error_of_an_attempt(
    observers, broken, in_memory, use_final_storage
):
    use_final_storage("tests.recipes.Full")
    observers(watches, broken, watches)

    async_form(Photo, {"title": "Dune"}, {"image": in_memory()}).save()
    work_on(Upload.objects.get())

    assert "No space left" in Upload.objects.failed().get().error
    steps = [(step, type(error)) for step, error in told if step == "attach"]
    assert steps == [("attach", OSError), ("attach", OSError)]


def test_an_error_that_code_is_handling_is_not_one_of_the_step(observers, in_memory):
    observers(watches)

    try:
        raise KeyError("not of the step")
    except KeyError:
        async_form(Photo, {"title": "Dune"}, {"image": in_memory()}).save()

    assert told == [("stage", None)]


def test_an_observer_that_raises_is_logged(observers, in_memory, caplog):
    observers(raises_after)

    async_form(Photo, {"title": "Dune"}, {"image": in_memory()}).save()

    upload = Upload.objects.get()
    assert (
        f"Upload {upload.pk}: an observer raised: OSError('the collector is away')" in caplog.text
    )
