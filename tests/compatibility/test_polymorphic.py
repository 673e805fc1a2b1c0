"""django-polymorphic: a parent's and its child's images, always with the child's class."""

import pytest
from django.contrib.admin import AdminSite
from django.core.files.uploadedfile import SimpleUploadedFile
from django.forms import modelform_factory
from django.urls import path

from . import libraries

libraries.need("django-polymorphic")

from polymorphic.admin import PolymorphicChildModelAdmin, PolymorphicParentModelAdmin  # noqa: E402
from polymorphic.formsets import (  # noqa: E402
    PolymorphicFormSetChild,
    polymorphic_modelformset_factory,
)

from django_async_forms.admin import AsyncImageAdminMixin  # noqa: E402
from django_async_forms.forms import AsyncImageModelForm  # noqa: E402
from django_async_forms.models import Upload  # noqa: E402
from django_async_forms.signals import image_saved  # noqa: E402
from django_async_forms.test import save_pending_uploads  # noqa: E402
from tests import pictures  # noqa: E402

from .models.polymorphic import Drawing, Painting, Work  # noqa: E402

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class WorkAdmin(AsyncImageAdminMixin, PolymorphicParentModelAdmin):
    base_model = Work
    child_models = [Painting, Drawing]
    list_display = ["title", "async_uploads"]


class ChildAdmin(AsyncImageAdminMixin, PolymorphicChildModelAdmin):
    base_model = Work


site = AdminSite(name="admin")
site.register(Work, WorkAdmin)
site.register([Painting, Drawing], ChildAdmin)

urlpatterns = [path("admin/", site.urls)]


@pytest.fixture
def painting(in_memory):
    """A painting with both images, as its parent's manager loads it."""
    made = Painting.objects.create(
        title="Old", image=in_memory("old.jpg"), frame=in_memory("frame.jpg")
    )
    return Work.objects.get(pk=made.pk)


def save(model, data, files, instance=None):
    fields = [name for name in ("title", "image", "frame") if hasattr(model, name)]
    form_class = modelform_factory(model, AsyncImageModelForm, fields=fields)
    return form_class(data, files, instance=instance).save()


def images():
    """Return the name of the image of each class."""
    return {type(work): work.image.name for work in Work.objects.all()}


def upload(name):
    return SimpleUploadedFile(name, pictures.jpeg(), "image/jpeg")


# Forms


def test_both_images_of_a_new_child_are_attached(in_memory):
    image, frame = pictures.jpeg(), pictures.jpeg()
    files = {"image": in_memory("new.jpg", image), "frame": in_memory("frame.jpg", frame)}

    save(Painting, {"title": "New"}, files)
    assert save_pending_uploads() == 2

    saved = Work.objects.get()
    assert type(saved) is Painting
    assert pictures.stored(saved.image) == image
    assert pictures.stored(saved.frame) == frame


def test_the_form_of_a_child_stores_the_same_as_a_plain_form(alike):
    def case(way):
        files = {"image": way.upload("a.jpg", seed=1), "frame": way.upload("b.jpg", seed=2)}
        instance = way.save(Painting, {"title": "Old"}, files)
        way.save(Painting, {"title": "New"}, {"image": way.upload("c.jpg", 32, 24, 3)}, instance)
        way.save(Painting, {"title": "New", "frame-clear": "on"}, {}, Painting.objects.get())

    alike(case, Painting)


def test_the_form_of_the_parent_stores_the_same_as_a_plain_form_on_a_child(alike):
    def case(way):
        files = {"image": way.upload("a.jpg", seed=1), "frame": way.upload("b.jpg", seed=2)}
        way.save(Painting, {"title": "Old"}, files)
        way.save(Work, {"title": "New"}, {"image": way.upload("c.jpg", seed=3)}, Work.objects.get())

    alike(case, Painting)


def test_the_form_of_the_parent_leaves_the_image_of_the_child(painting, new):
    save(Work, *new, painting)
    save_pending_uploads()

    saved = Work.objects.get()
    assert (saved.image.name, saved.frame.name) == ("works/new.jpg", "frames/frame.jpg")


def test_the_old_image_stays_until_the_new_one_is_attached(painting, in_memory):
    save(Painting, {"title": "New"}, {"frame": in_memory("new.jpg")}, painting)

    assert Work.objects.get().title == "New"
    assert Work.objects.get().frame.name == "frames/frame.jpg"


def test_the_upload_for_a_child_names_the_child_for_a_column_of_the_parent(painting, new):
    save(Work, *new, painting)

    assert type(Upload.objects.get().get_instance()) is Painting


def test_the_signal_has_the_child(connect, painting, new):
    senders = []

    def note(sender, instance, **kwargs):
        senders.append((sender, type(instance)))

    connect(image_saved, note)
    save(Work, *new, painting)
    save_pending_uploads()

    assert senders == [(Painting, Painting)]


def test_a_newer_image_by_the_form_of_the_parent_supersedes_that_of_the_child(
    painting, in_memory, new
):
    save(Painting, *new, painting)
    save(Work, {"title": "Newer"}, {"image": in_memory("newer.jpg")}, Work.objects.get())

    assert save_pending_uploads() == 1

    assert Work.objects.get().image.name == "works/newer.jpg"


def test_two_children_have_their_own_images(in_memory):
    save(Painting, {"title": "Oil"}, {"image": in_memory("oil.jpg")})
    save(Drawing, {"title": "Ink"}, {"image": in_memory("ink.jpg")})

    save_pending_uploads()

    assert images() == {Painting: "works/oil.jpg", Drawing: "works/ink.jpg"}


def test_a_formset_of_several_children_stages_each_image(in_memory):
    children = [
        PolymorphicFormSetChild(model, form=AsyncImageModelForm) for model in (Painting, Drawing)
    ]
    formset_class = polymorphic_modelformset_factory(
        Work, fields="__all__", form=AsyncImageModelForm, formset_children=children, extra=2
    )
    data = {"form-TOTAL_FORMS": "2", "form-INITIAL_FORMS": "0"}
    data.update({"form-0-title": "Oil", "form-1-title": "Ink"})
    ids = [form["polymorphic_ctype"].initial for form in formset_class().forms]
    data.update({f"form-{i}-polymorphic_ctype": str(key) for i, key in enumerate(ids)})
    files = {"form-0-image": in_memory("oil.jpg"), "form-1-image": in_memory("ink.jpg")}
    formset = formset_class(data, files, queryset=Work.objects.none())
    assert formset.is_valid(), formset.errors

    formset.save()
    assert save_pending_uploads() == 2

    assert images() == {Painting: "works/oil.jpg", Drawing: "works/ink.jpg"}


# Deletion


@pytest.mark.parametrize("delete", [lambda works: works[0].delete(), lambda works: works.delete()])
def test_deleting_a_child_discards_the_uploads_for_both_tables(delete, painting, in_memory):
    files = {"image": in_memory("new.jpg"), "frame": in_memory("new.jpg")}
    save(Painting, {"title": "New"}, files, painting)
    assert Upload.objects.count() == 2

    delete(Work.objects.all())

    assert not Upload.objects.exists()


def test_deleting_one_leaves_the_upload_of_another(painting, in_memory):
    drawing = save(Drawing, {"title": "Ink"}, {"image": in_memory("ink.jpg")})

    painting.delete()
    save_pending_uploads()

    assert Drawing.objects.get(pk=drawing.pk).image.name == "works/ink.jpg"


# The admin


def test_the_admin_adds_a_child_and_stages_its_images(admin_client):
    data = {"title": "New", "image": upload("new.jpg"), "frame": upload("frame.jpg")}

    response = admin_client.post("/admin/compatibility/painting/add/", data)

    assert response.status_code == 302
    assert save_pending_uploads() == 2
    assert Work.objects.get().image.name == "works/new.jpg"


def test_the_admin_of_the_parent_changes_a_child_and_stages_its_image(admin_client, painting):
    data = {"title": "New", "frame": upload("new.jpg")}

    response = admin_client.post(f"/admin/compatibility/work/{painting.pk}/change/", data)

    assert response.status_code == 302
    assert Work.objects.get().frame.name == "frames/frame.jpg"
    save_pending_uploads()
    assert Work.objects.get().frame.name == "frames/new.jpg"
    assert Work.objects.get().image.name == "works/old.jpg"


def test_the_page_of_a_child_says_that_its_image_is_pending(admin_client, painting, in_memory):
    save(Painting, {"title": "New"}, {"frame": in_memory("new.jpg")}, painting)

    page = admin_client.get(f"/admin/compatibility/work/{painting.pk}/change/").content.decode()

    assert "async-image" in page


def test_the_change_list_of_the_parent_says_that_an_image_is_pending(admin_client, painting, new):
    save(Painting, *new, painting)

    page = admin_client.get("/admin/compatibility/work/").content.decode()

    assert "Image: pending" in page


def test_the_admin_deletes_a_child_with_its_uploads(admin_client, painting, in_memory):
    save(Painting, {"title": "New"}, {"frame": in_memory("new.jpg")}, painting)

    admin_client.post(f"/admin/compatibility/work/{painting.pk}/delete/", {"post": "yes"})

    assert not Work.objects.exists()
    assert not Upload.objects.exists()
