"""The forms of a model's admin: change list, inlines, forms and widgets of the project."""

import pytest
from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminFileWidget
from django.db import connection, models
from django.test.utils import CaptureQueriesContext
from django.urls import path, reverse

from django_async_forms.admin import AsyncImageAdminMixin
from django_async_forms.forms import AsyncImageFormMixin
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from django_async_forms.widgets import AsyncImageInput
from tests import pictures
from tests.project.models import Album, OnlyImages, Page, Photo

site = admin.AdminSite()


class OwnWidget(forms.ClearableFileInput):
    """A widget that a project has written."""


class PlainForm(forms.ModelForm):
    """A form that knows nothing of the package."""

    def clean_title(self):
        return self.cleaned_data["title"].upper()


@admin.register(Photo, site=site)
class PhotoAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
    form = PlainForm
    list_display = ["id", "title", "image"]
    list_editable = ["title", "image"]


class PageInline(AsyncImageAdminMixin, admin.TabularInline):
    model = Page
    extra = 1


@admin.register(Album, site=site)
class AlbumAdmin(admin.ModelAdmin):
    inlines = [PageInline]


urlpatterns = [path("admin/", site.urls)]

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture
def photo():
    return Photo.objects.create(title="Dune", image="old.jpg")


def change_page(instance):
    return reverse(f"admin:project_{type(instance).__name__.lower()}_change", args=[instance.pk])


def form_class(rf, model_admin_class, model=Photo):
    return model_admin_class(model, site).get_form(rf.get("/"))


# The change list


def post_list(client, photo, **data):
    row = {f"form-0-{name}": value for name, value in {"id": photo.pk, **data}.items()}
    return client.post(
        reverse("admin:project_photo_changelist"),
        {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "_save": "Save", **row},
    )


def test_a_worker_saves_an_image_that_the_change_list_is_sent(admin_client, photo, in_memory):
    data = pictures.jpeg()

    post_list(admin_client, photo, title="Reef", image=in_memory("new.jpg", data=data))

    photo.refresh_from_db()
    assert (photo.title, photo.image.name) == ("Reef", "old.jpg")
    save_pending_uploads()
    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data


def test_the_change_list_does_not_write_an_image_that_it_does_not_change(
    admin_client, photo, monkeypatch
):
    class Titles(PhotoAdmin):
        list_editable = ["title"]

    formset_class = Titles(Photo, site).get_changelist_formset(None)
    data = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1}
    data |= {"form-0-id": photo.pk, "form-0-title": "Reef"}
    formset = formset_class(data, queryset=Photo.objects.all())
    assert formset.is_valid()
    Photo.objects.update(image="newest.jpg")  # A worker attaches it in the meantime.

    formset.save()

    assert Photo.objects.values_list("title", "image").get() == ("Reef", "newest.jpg")


def test_a_changelist_form_of_the_project_has_the_mixin_too(rf):
    class OwnAdmin(PhotoAdmin):
        def get_changelist_form(self, request, **kwargs):
            return PlainForm

    formset_class = OwnAdmin(Photo, site).get_changelist_formset(rf.get("/"))

    assert issubclass(formset_class.form, AsyncImageFormMixin)
    assert issubclass(formset_class.form, PlainForm)


def test_the_change_list_asks_for_all_pending_images_at_once(admin_client, in_memory):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            response = admin_client.get(reverse("admin:project_photo_changelist"))
            assert b"The new image is being saved" in response.content
        return len(captured)

    def add():
        save_image(in_memory(), Photo.objects.create(title="Dune", image="old.jpg"))

    add()
    queries()  # The first page makes the sender's secret, which saves the session.
    for_one = queries()
    for _ in range(10):
        add()

    assert queries() == for_one


# Forms of the project


def test_a_worker_saves_the_image_of_a_form_without_the_mixin(admin_client, photo, in_memory):
    admin_client.post(change_page(photo), {"title": "Reef", "image": in_memory("new.jpg")})

    photo.refresh_from_db()
    assert (photo.title, photo.image.name) == ("REEF", "old.jpg")
    assert Upload.objects.get().field_name == "image"


def test_the_change_page_of_a_form_without_the_mixin_shows_the_pending_image(
    admin_client, photo, in_memory
):
    save_image(in_memory(), photo)

    assert "The new image is being saved" in admin_client.get(change_page(photo)).content.decode()


class GivingAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
    def get_form(self, request, obj=None, change=False, **kwargs):
        return super().get_form(request, obj, change, form=PlainForm, **kwargs)


@pytest.mark.parametrize("model_admin_class", [PhotoAdmin, GivingAdmin])
def test_a_form_without_the_mixin_gets_it(rf, model_admin_class):
    form = form_class(rf, model_admin_class)

    assert issubclass(form, AsyncImageFormMixin)
    assert issubclass(form, PlainForm)


class ChoosingAdmin(admin.ModelAdmin):
    """Chooses the form itself, as Django's ``UserAdmin`` does for its add page."""

    def get_form(self, request, obj=None, change=False, **kwargs):
        return super().get_form(request, obj, change, **{"form": PlainForm, **kwargs})


class ChoosingInline(admin.TabularInline):
    model = Page

    def get_formset(self, request, obj=None, **kwargs):
        return super().get_formset(request, obj, **{"form": PlainForm, **kwargs})


def test_a_form_that_get_form_chooses_below_the_mixin_gets_it(rf):
    mixed = type("Mixed", (AsyncImageAdminMixin, ChoosingAdmin), {})

    form = form_class(rf, mixed)

    assert issubclass(form, AsyncImageFormMixin)
    assert issubclass(form, PlainForm)


def test_a_form_that_get_formset_chooses_below_the_mixin_gets_it(rf, admin_user):
    mixed = type("Mixed", (AsyncImageAdminMixin, ChoosingInline), {})
    request = rf.get("/")
    request.user = admin_user

    form = mixed(Album, site).get_formset(request).form

    assert issubclass(form, AsyncImageFormMixin)
    assert issubclass(form, PlainForm)


class ChangingAdmin(admin.ModelAdmin):
    """Changes the fields of the form class that Django has made, as projects do."""

    def get_form(self, request, obj=None, change=False, **kwargs):
        form = super().get_form(request, obj, change, **kwargs)
        form.base_fields["title"].label = "The name"
        return form


class ChangingInline(admin.TabularInline):
    model = Page

    def get_formset(self, request, obj=None, **kwargs):
        formset = super().get_formset(request, obj, **kwargs)
        formset.form.base_fields["image"].label = "The page"
        return formset


def test_fields_that_get_form_changes_below_the_mixin_stay_changed(rf):
    mixed = type("Mixed", (AsyncImageAdminMixin, ChangingAdmin), {})

    assert form_class(rf, mixed)().fields["title"].label == "The name"


def test_fields_that_get_formset_changes_below_the_mixin_stay_changed(rf, admin_user):
    mixed = type("Mixed", (AsyncImageAdminMixin, ChangingInline), {})
    request = rf.get("/")
    request.user = admin_user

    formset = mixed(Album, site).get_formset(request)

    assert formset().forms[0].fields["image"].label == "The page"


def test_a_form_with_the_mixin_keeps_its_own_choices(rf):
    class OwnInput(AsyncImageInput):
        pass

    class OwnForm(AsyncImageFormMixin, forms.ModelForm):
        async_fields = ["front"]
        image_widget = OwnInput

    class OwnAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
        form = OwnForm

    form = form_class(rf, OwnAdmin, OnlyImages)()

    assert [field.name for field in form.get_async_fields()] == ["front"]
    assert type(form.fields["front"].widget) is OwnInput
    assert type(form.fields["back"].widget) is AdminFileWidget


# Inlines


def album_data(**rows):
    return {"name": "Sand", "pages-TOTAL_FORMS": 1, "pages-INITIAL_FORMS": 0, **rows}


def test_a_worker_saves_the_image_of_an_inline(admin_client, in_memory):
    album = Album.objects.create(name="Sand")

    admin_client.post(
        change_page(album), album_data(**{"pages-0-image": in_memory(), "pages-0-album": album.pk})
    )

    page = Page.objects.get()
    assert page.image.name == ""
    save_pending_uploads()
    page.refresh_from_db()
    assert page.image.name


def test_an_inline_with_a_form_of_the_project_gets_the_mixin(rf, admin_user):
    class OwnForm(forms.ModelForm):
        pass

    class OwnInline(PageInline):
        form = OwnForm

    request = rf.get("/")
    request.user = admin_user
    form = OwnInline(Album, site).get_formset(request).form

    assert issubclass(form, AsyncImageFormMixin)
    assert issubclass(form, OwnForm)


def test_an_inline_shows_its_pending_image(admin_client, in_memory):
    album = Album.objects.create(name="Sand")
    save_image(in_memory(), Page.objects.create(album=album))

    assert "The image is being saved" in admin_client.get(change_page(album)).content.decode()


# Widgets


def test_the_widgets_of_django_are_replaced(rf):
    class Declared(PlainForm):
        class Meta:
            widgets = {"image": forms.ClearableFileInput(attrs={"accept": ".jpg"})}

    class OwnAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
        form = Declared

    for model_admin_class, accept in ((PhotoAdmin, "image/*"), (OwnAdmin, ".jpg")):
        widget = form_class(rf, model_admin_class)()["image"].field.widget
        assert type(widget) is AsyncImageInput
        assert widget.attrs["accept"] == accept


def test_a_widget_of_formfield_overrides_is_kept(rf):
    class OwnAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
        formfield_overrides = {models.ImageField: {"widget": OwnWidget}}

    assert type(form_class(rf, OwnAdmin)().fields["image"].widget) is OwnWidget


def test_a_widget_of_the_form_is_kept(rf):
    class WithMeta(PlainForm):
        class Meta:
            widgets = {"image": OwnWidget}

    class WithField(PlainForm):
        image = forms.ImageField(widget=forms.FileInput)

    for own_form, widget in ((WithMeta, OwnWidget), (WithField, forms.FileInput)):

        class OwnAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
            form = own_form

        assert type(form_class(rf, OwnAdmin)().fields["image"].widget) is widget


def test_a_form_of_a_page_keeps_its_own_widget_too():
    class PhotoForm(AsyncImageFormMixin, forms.ModelForm):
        image_widget = AsyncImageInput

        class Meta:
            model = Photo
            fields = ["image"]
            widgets = {"image": OwnWidget}

    assert type(PhotoForm().fields["image"].widget) is OwnWidget
