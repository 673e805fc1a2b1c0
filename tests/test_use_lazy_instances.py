"""A lazy instance, such as ``request.user``, is used like the instance behind it."""

import pytest
from django.template import engines
from django.utils.functional import SimpleLazyObject

from django_async_forms.models import Upload
from django_async_forms.status import prefetch_uploads
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from tests.both import form_for, without_chance
from tests.project.models import Photo

pytestmark = pytest.mark.django_db


@pytest.fixture
def lazy(old):
    """The instance with an image, loaded when something uses it."""
    return SimpleLazyObject(lambda: Photo.objects.get(pk=old.pk))


def test_a_form_for_a_lazy_instance_saves_it(base, lazy, in_memory):
    form_for(base, Photo, {"title": "Arrakis"}, {"image": in_memory("new.jpg")}, lazy).save()

    save_pending_uploads()
    photo = Photo.objects.get()
    assert (photo.title, without_chance(photo.image.name)) == ("Arrakis", "photos/new.jpg")


def test_a_worker_saves_the_image_of_a_lazy_instance(lazy, in_memory):
    save_image(in_memory("new.jpg"), lazy, "image")

    assert Upload.objects.for_instance(lazy).count() == 1
    save_pending_uploads()
    assert without_chance(Photo.objects.get().image.name) == "photos/new.jpg"


def test_a_page_shows_the_image_of_a_lazy_instance(lazy):
    template = engines["django"].from_string("{% load async_forms %}{% async_image p 'image' %}")

    assert Photo.objects.get().image.url in template.render({"p": lazy})


def test_the_uploads_of_lazy_instances_are_found_at_once(
    lazy, in_memory, django_assert_num_queries
):
    upload = save_image(in_memory("new.jpg"), lazy, "image")

    prefetch_uploads([lazy], "image")

    with django_assert_num_queries(0):
        template = engines["django"].from_string(
            "{% load async_forms %}{% async_image p 'image' %}"
        )
        assert 'data-state="pending"' in template.render({"p": lazy})
    assert upload.state == Upload.State.PENDING
