"""``manage.py async_uploads forms``: a developer sees what saves images, and where."""

import gc
import types
from io import StringIO

import pytest
from django import forms
from django.contrib import admin
from django.contrib.admin.sites import AdminSite
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.urls import path
from django.views.generic import CreateView, UpdateView

from django_async_forms.admin import AsyncImageAdminMixin
from django_async_forms.forms import AsyncImageFormMixin, AsyncImageModelForm
from django_async_forms.storage import StagingFileSystemStorage
from django_async_forms.views import AsyncImageCreateView
from tests.project.models import Album, Document, Elsewhere, Measured, Page, Photo

pytestmark = pytest.mark.django_db(databases=["default", "other"])


@pytest.fixture(autouse=True)
def own_classes():
    """Removes the classes of a test, which the command would list in the next one."""
    yield
    gc.collect()


def run():
    out = StringIO()
    call_command("async_uploads", "forms", stdout=out)
    return out.getvalue()


def listed(cls):
    """Return what the command prints about a class, by the model and field."""
    found, heading, name = {}, "", f"{cls.__module__}.{cls.__qualname__}"
    for line in run().splitlines():
        if not line.startswith(" "):
            heading = line.partition(":")[0]
        elif f" {name}" in line:
            assert heading not in found, line
            found[heading] = line.replace(name, "NAME").strip()
    return found


def made(model, *bases, fields="__all__", **attributes):
    """Return a form class of a project's."""
    meta = type("Meta", (), {"model": model, "fields": fields})

    def body(namespace):
        namespace.update(attributes, Meta=meta, __module__=__name__)

    return types.new_class("OwnForm", bases, exec_body=body)


# The fields


def test_a_field_is_listed_with_its_staging_storage_and_its_final_one(
    use_staging_storage, tmp_path
):
    form = made(Elsewhere, AsyncImageModelForm)
    assert (
        "project.Elsewhere.image: DatabaseStorage in the database 'other', then FileSystemStorage"
    ) in run()

    use_staging_storage(StagingFileSystemStorage, location=tmp_path / "staging")

    assert "project.Elsewhere.image: StagingFileSystemStorage, then FileSystemStorage" in run()
    del form


def test_a_form_without_a_file_field_is_not_listed():
    assert listed(made(Photo, forms.ModelForm, fields=["title"])) == {}


def test_a_form_with_the_mixin_that_saves_no_file_is_listed_as_such():
    form = made(Photo, AsyncImageModelForm, fields=["title"])

    assert listed(form) == {"With a mixin, but without a file field to save": "NAME"}


# Forms


def test_a_form_with_the_mixin_saves_its_images_in_a_worker():
    form = made(Measured, AsyncImageFormMixin, forms.ModelForm)

    assert listed(form) == {
        "project.Measured.image": "worker   NAME",
        "project.Measured.cover": "worker   NAME",
    }


def test_a_form_without_the_mixin_saves_its_image_in_the_request():
    form = made(Photo, forms.ModelForm)

    assert listed(form) == {"project.Photo.image": "request  NAME: it has no AsyncImageFormMixin"}


def test_a_mixin_in_the_wrong_place_is_seen(settings):
    settings.SILENCED_SYSTEM_CHECKS = ["django_async_forms.E007"]
    form = made(Photo, forms.ModelForm, AsyncImageFormMixin)

    assert listed(form) == {
        "project.Photo.image": "request  NAME: AsyncImageFormMixin comes after ModelForm"
    }


def test_a_file_that_async_fields_does_not_name_is_seen():
    form = made(Document, AsyncImageModelForm, async_fields=["file"])

    assert listed(form) == {
        "project.Document.file": "worker   NAME",
        "project.Document.scan": "request  NAME: async_fields does not name it",
    }


def test_a_plain_file_that_async_fields_does_not_name_is_seen():
    assert listed(made(Document, AsyncImageModelForm))["project.Document.file"] == (
        "request  NAME: it is not an image, and async_fields does not name it"
    )


def test_a_form_that_leaves_new_images_to_the_request_is_seen():
    form = made(Photo, AsyncImageModelForm, async_when="replacing")

    assert listed(form) == {"project.Photo.image": "worker   NAME: only an image that replaces one"}


# The admin


class PageInline(admin.TabularInline):
    model = Page
    extra = 0


@pytest.fixture
def register():
    """Registers an admin class for a model in a site of the test's own."""
    sites = []

    def register(model, *bases, **attributes):
        cls = type("OwnAdmin", bases, {**attributes, "__module__": __name__})
        sites.append(AdminSite())
        sites[-1].register(model, cls)
        return cls

    yield register
    sites.clear()


def test_an_admin_with_the_mixin_saves_its_images_in_a_worker(register):
    own = register(Photo, AsyncImageAdminMixin, admin.ModelAdmin)

    assert listed(own) == {"project.Photo.image": "worker   NAME"}


def test_an_admin_without_the_mixin_saves_its_image_in_the_request(register):
    own = register(Photo, admin.ModelAdmin)

    assert listed(own) == {"project.Photo.image": "request  NAME: it has no AsyncImageFormMixin"}


def test_an_inline_without_the_mixin_saves_its_image_in_the_request(register):
    register(Album, AsyncImageAdminMixin, admin.ModelAdmin, inlines=[PageInline])

    assert "request" in listed(PageInline)["project.Page.image"]


@pytest.mark.parametrize(
    "attributes",
    [
        {"exclude": ["image"]},
        {"readonly_fields": ["image"]},
        {"fields": ["title"]},
        {"fieldsets": [(None, {"fields": ["title"]})]},
    ],
    ids=lambda attributes: next(iter(attributes)),
)
def test_an_admin_that_does_not_change_the_image_is_not_listed(register, attributes):
    assert listed(register(Photo, admin.ModelAdmin, **attributes)) == {}


def test_an_admin_with_fields_in_one_line_is_listed(register):
    assert listed(register(Photo, admin.ModelAdmin, fields=[("title", "image")]))


def test_a_form_to_which_the_admin_adds_the_mixin_is_not_listed_as_without_it(register):
    form = made(Photo, forms.ModelForm)
    own = register(Photo, AsyncImageAdminMixin, admin.ModelAdmin, form=form)

    assert listed(form) == {}
    assert listed(own) == {"project.Photo.image": "worker   NAME"}


# Views


def test_a_view_with_the_mixin_saves_its_image_in_a_worker():
    class OwnView(AsyncImageCreateView):
        model = Photo
        fields = ["image"]

    assert listed(OwnView) == {"project.Photo.image": "worker   NAME"}


def test_a_view_without_the_mixin_saves_its_image_in_the_request():
    class OwnView(CreateView):
        model = Photo
        fields = ["image"]

    assert listed(OwnView) == {
        "project.Photo.image": "request  NAME: it has no AsyncImageFormMixin"
    }


def test_a_view_that_only_the_urls_make_is_listed(settings):
    settings.ROOT_URLCONF = (path("", UpdateView.as_view(model=Photo, fields=["image"])),)

    assert "request" in listed(UpdateView)["project.Photo.image"]


def test_a_view_whose_form_depends_on_the_request_is_left_to_its_form():
    class OwnView(CreateView):
        def get_form_class(self):
            return self.request.form_class

    assert listed(OwnView) == {}


def test_a_view_whose_code_raises_an_error_is_left_to_its_form():
    class OwnView(CreateView):
        def get_form_class(self):
            raise PermissionDenied

    assert listed(OwnView) == {}


def test_a_base_without_the_metaclass_of_model_forms_is_not_listed():
    class BareForm(forms.BaseModelForm):
        """As those of some libraries."""

    assert listed(BareForm) == {}
