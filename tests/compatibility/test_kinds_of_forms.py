"""Forms as projects write them: mixins in any order, overridden save(), pickled."""

import copy
import pickle

import pytest
from django import forms
from django.core.files.uploadedfile import SimpleUploadedFile
from django.forms.renderers import get_default_renderer
from django.test import TestCase
from django.urls import path

from django_async_forms.forms import AsyncImageFormMixin, AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.views import AsyncImageCreateView
from tests import pictures
from tests.project.models import Photo
from tests.worker import sending_to

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class UpperMixin:
    """Changes the instance before it is saved, with commit=False."""

    def save(self, commit=True):
        photo = super().save(commit=False)
        photo.title = photo.title.upper()
        if commit:
            photo.save()
            self.save_m2m()
        return photo


class StarMixin:
    """Changes the saved instance, and saves it again."""

    def save(self, commit=True):
        photo = super().save(commit)
        photo.title += " *"
        if commit:
            photo.save()
        return photo


class PhotoForm(AsyncImageFormMixin, forms.ModelForm):
    class Meta:
        model = Photo
        fields = ["title", "image"]


ORDERS = {
    "ours first": (AsyncImageFormMixin, UpperMixin, StarMixin, forms.ModelForm),
    "ours between": (UpperMixin, AsyncImageFormMixin, StarMixin, forms.ModelForm),
    "ours last": (StarMixin, UpperMixin, AsyncImageFormMixin, forms.ModelForm),
    "ours with ModelForm": (StarMixin, UpperMixin, AsyncImageModelForm),
}


@pytest.mark.parametrize("bases", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("kind", ["new", "old"])
def test_mixins_that_override_save_work_in_any_order(bases, kind, in_memory, media):
    form_class = type("Form", bases, {"Meta": PhotoForm.Meta})
    photo = None
    if kind == "old":
        photo = Photo.objects.create(title="Old", image=in_memory("old.jpg"))
    data = pictures.jpeg()

    form_class({"title": "Dune"}, {"image": in_memory("new.jpg", data)}, instance=photo).save()
    assert not (media / "photos/new.jpg").exists()
    assert save_pending_uploads() == 1

    photo = Photo.objects.get()
    assert photo.title == "DUNE *"
    assert photo.image.name == "photos/new.jpg"
    assert pictures.stored(photo.image) == data


def test_a_form_may_override_save_on_both_sides_of_ours(in_memory):
    class Base(forms.ModelForm):
        Meta = PhotoForm.Meta

        def save(self, commit=True):
            self.instance.title += ", below"
            return super().save(commit)

    class Form(AsyncImageFormMixin, Base):
        def save(self, commit=True):
            self.instance.title += ", above"
            return super().save(commit)

    form = Form({"title": "Dune"}, {"image": in_memory()})
    assert form.is_valid()
    photo = form.save()

    assert photo.title == "Dune, above, below"
    assert Upload.objects.for_instance(photo).count() == 1


def test_a_subclass_of_a_form_with_the_mixin_has_the_mixin(in_memory):
    class Form(PhotoForm):
        class Meta(PhotoForm.Meta):
            fields = ["image"]

    photo = Form({}, {"image": in_memory()}).save()

    assert Upload.objects.for_instance(photo).count() == 1


urlpatterns = [
    path("create/", AsyncImageCreateView.as_view(form_class=PhotoForm, success_url="/done/")),
]


def a_post(data=None):
    return {"title": "Dune", "image": SimpleUploadedFile("dune.jpg", data or pictures.jpeg())}


# Pickling


def test_a_form_can_be_pickled_with_its_upload(in_memory):
    # Django's renderer cannot be pickled once it has rendered a form. So these forms get a new one.
    get_default_renderer.cache_clear()
    data = pictures.jpeg()
    form = PhotoForm({"title": "Dune"}, {"image": in_memory(data=data)})

    again = pickle.loads(pickle.dumps(form))
    again.save()
    save_pending_uploads()

    assert pictures.stored(Photo.objects.get().image) == data


@pytest.mark.parametrize("base", [forms.ModelForm, AsyncImageModelForm], ids=["plain", "async"])
def test_an_unsaved_instance_loses_its_image_when_it_is_pickled(base, in_memory):
    photo = forms.modelform_factory(Photo, base, fields=["title", "image"])(
        {"title": "Dune"}, {"image": in_memory()}
    ).save(commit=False)

    again = pickle.loads(pickle.dumps(photo))
    again.save()

    assert save_pending_uploads() == 0
    assert not Photo.objects.get().image.storage.exists("photos/dune.jpg")


def test_an_instance_can_be_saved_after_it_was_pickled(in_memory):
    photo = PhotoForm({"title": "Dune"}, {"image": in_memory()}).save(commit=False)
    pickle.dumps(photo)

    photo.save()

    assert save_pending_uploads() == 1


def test_a_deep_copy_of_a_saved_instance_can_be_saved(in_memory):
    photo = PhotoForm({"title": "Dune"}, {"image": in_memory()}).save()

    copy.deepcopy(photo).save()

    assert Upload.objects.for_instance(photo).count() == 1


# Transactions


@pytest.mark.django_db(transaction=True)
def test_eager_tasks_that_fail_do_not_harm_the_request(client, settings, media):
    settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
    media.touch()  # A file, so nothing can be stored.

    with sending_to("memory://", task_always_eager=True):
        response = client.post("/create/", a_post())

    assert response.status_code == 302
    assert Upload.objects.failed().count() == 1


@pytest.mark.usefixtures("queue_of_class")
class TestOfAProject(TestCase):
    """A test as a project writes it, in Django's own TestCase."""

    def test_callbacks_can_be_captured_and_executed(self):
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            self.client.post("/create/", a_post())

        self.assertEqual(len(callbacks), 2)  # The form's, and the one that sends.
        self.assertEqual(Upload.objects.count(), 1)

    def test_eager_tasks_attach_the_image_as_callbacks_are_executed(self):
        with (
            sending_to("memory://", task_always_eager=True),
            self.captureOnCommitCallbacks(execute=True),
        ):
            self.client.post("/create/", a_post())

        self.assertEqual(Photo.objects.get().image.name, "photos/dune.jpg")


@pytest.fixture
def queue_of_class(queue):
    """The queue, for Django's TestCase."""
