"""The stored result of a post is the same as that of a plain ``ModelForm``.

Each case runs with a plain form and with ours, and the results are compared.
"""

import io
import re

import pytest
from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile, File
from django.core.files.uploadedfile import InMemoryUploadedFile
from django.db.models import FileField
from django.forms import inlineformset_factory, modelform_factory, modelformset_factory
from django.urls import path
from django.views.generic import CreateView
from PIL import Image

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.test import save_pending_uploads
from django_async_forms.views import AsyncImageCreateView
from tests import pictures
from tests.both import async_form
from tests.project.models import (
    Album,
    ByKey,
    Country,
    Document,
    Elsewhere,
    Flag,
    Keyed,
    Measured,
    OnlyImages,
    Page,
    Photo,
    Place,
    PlaceProxy,
    Restaurant,
    Retouched,
    Shelved,
    Shrunk,
    Slugged,
    Stated,
)

pytestmark = [
    pytest.mark.django_db(databases=["default", "other"]),
    pytest.mark.urls("tests.test_parity"),
]


# Both ways, also in an admin site and in a view.


def admin_site(name, form_class):
    page_inline = type(
        "PageInline", (admin.TabularInline,), {"model": Page, "form": form_class, "extra": 1}
    )
    site = admin.AdminSite(name)
    site.register(Album, form=form_class, inlines=[page_inline])
    site.register(Photo, form=form_class)
    return site


class PlainView(CreateView):
    model = Photo
    fields = ["title", "image"]
    template_name = "django_async_forms/form.html"
    success_url = "/done/"


class AsyncView(AsyncImageCreateView):
    model = Photo
    fields = ["title", "image"]
    success_url = "/done/"


urlpatterns = [
    path("plain/admin/", admin_site("plain", forms.ModelForm).urls),
    path("plain/add/", PlainView.as_view()),
    path("async/admin/", admin_site("async", AsyncImageModelForm).urls),
    path("async/add/", AsyncView.as_view()),
]


class Way:
    """A way to do a case: with plain Django, or with this package."""

    def __init__(self, name, form_class, client, upload):
        self.name = name
        self.form_class = form_class
        self.client = client
        self.upload = upload

    def form(self, model, data, files=None, fields=None, **kwargs):
        """Return a form with the data and files, and with a field for each of them."""
        fields = [*data, *(files or {})] if fields is None else fields
        return modelform_factory(model, form=self.form_class, fields=fields)(data, files, **kwargs)

    def post(self, page, data):
        return self.client.post(f"/{self.name}/{page}", data)


@pytest.fixture
def do_both_ways(client, settings, tmp_path):
    """Do a case with plain Django and with the mixin; return both results and the upload count."""

    def do(case, models, upload):
        stored = []
        for name, form_class in [("plain", forms.ModelForm), ("async", AsyncImageModelForm)]:
            settings.MEDIA_ROOT = tmp_path / name
            case(Way(name, form_class, client, upload))
            uploads = save_pending_uploads() + save_pending_uploads("other")
            files = sorted(
                without_chance(path.relative_to(settings.MEDIA_ROOT))
                for path in settings.MEDIA_ROOT.rglob("*")
                if path.is_file()
            )
            stored.append(
                [files, *(contents(instance) for model in models for instance in rows(model))]
            )
            for model in models:
                model.objects.all().delete()
            Country.objects.all().delete()
        return *stored, uploads

    return do


def rows(model):
    return model.objects.order_by("pk")


def contents(instance):
    """Return the stored values of an instance, except for keys that the database makes."""
    stored = {"model": instance._meta.label}
    for field in instance._meta.concrete_fields:
        value = getattr(instance, field.attname)
        if isinstance(field, FileField):
            name = value.name and without_chance(value.name)
            exists = bool(value) and value.storage.exists(value.name)
            stored[field.name] = (name, pictures.stored(value) if exists else None)
        elif not field.primary_key and not field.is_relation:
            stored[field.name] = value
    for field in instance._meta.many_to_many:
        stored[field.name] = sorted(getattr(instance, field.name).values_list("code", flat=True))
    return stored


def without_chance(name):
    """Return a name without the seven random characters of a storage, and without a key."""
    name = re.sub(r"_[A-Za-z0-9]{7}(?=\.\w+$)", "_CHANCE", str(name))
    return re.sub(r"^by-key/\d+/", "by-key/KEY/", name)


CASES = []


def case(*models, uploads=1):
    """Register a case: the models that it stores, and the number of its uploads."""

    def register(function):
        CASES.append(pytest.param(function, models, uploads, id=function.__name__))
        return function

    return register


# Saving one form


@case(Photo)
def one_image(way):
    way.form(Photo, {"title": "Dune"}, {"image": way.upload()}).save()


@case(Measured, uploads=2)
def two_images_that_are_measured(way):
    files = {"image": way.upload("wide.jpg", 80, 20), "cover": way.upload("high.jpg", 20, 80)}
    way.form(Measured, {"title": "Dune"}, files).save()


@case(Measured)
def one_of_two_images(way):
    files = {"cover": way.upload()}
    way.form(Measured, {"title": "Dune"}, files, fields=["title", "image", "cover"]).save()


@case(OnlyImages, uploads=2)
def two_images_of_the_same_name(way):
    files = {"front": way.upload("a.jpg", seed=1), "back": way.upload("a.jpg", seed=2)}
    way.form(OnlyImages, {}, files).save()


@case(Photo, uploads=2)
def a_prefix(way):
    data = {"a-title": "Dune", "b-title": "Moon"}
    files = {"a-image": way.upload("dune.jpg", seed=1), "b-image": way.upload("moon.jpg", seed=2)}
    for prefix in "ab":
        way.form(Photo, data, files, fields=["title", "image"], prefix=prefix).save()


@case(Photo)
def commit_false_and_no_save_m2m(way):
    photo = way.form(Photo, {}, {"image": way.upload()}).save(commit=False)
    photo.title = "Set by the view"
    photo.save()


@case(Page)
def commit_false_and_save_m2m(way):
    page = Page(album=Album.objects.create(name="Arrakis"))
    data = {"caption": "Dune", "tags": [Country.objects.create(code="NA").pk]}
    form = way.form(Page, data, {"image": way.upload()}, instance=page)
    form.save(commit=False).save()
    form.save_m2m()


@case(Page)
def many_to_many(way):
    page = Page(album=Album.objects.create(name="Arrakis"))
    data = {"tags": [Country.objects.create(code=code).pk for code in ("NA", "MA")]}
    way.form(Page, data, {"image": way.upload()}, instance=page).save()


@case(Photo)
def commit_false_and_then_save(way):
    form = way.form(Photo, {"title": "Dune"}, {"image": way.upload()})
    form.save(commit=False)
    form.save()


@case(Photo)
def a_save_of_the_forms_own(way):
    class Form(way.form_class):
        class Meta:
            model = Photo
            fields = ["image"]

        def save(self, commit=True):
            photo = super().save(commit=False)
            photo.title = "Set by the form"
            if commit:
                photo.save()
                self.save_m2m()
            return photo

    Form({}, {"image": way.upload()}).save()


@case(Photo)
def a_column_that_is_set_after_validation(way):
    form = way.form(Photo, {}, {"image": way.upload()})
    assert form.is_valid()
    form.instance.title = "Set by the view"
    form.save()


@case(Photo)
def a_form_that_is_validated_twice(way):
    form = way.form(Photo, {"title": "Dune"}, {"image": way.upload()})
    assert form.is_valid()
    form.full_clean()
    form.save()


@case(Photo)
def two_forms_for_one_instance(way):
    photo = Photo()
    first = way.form(Photo, {}, {"image": way.upload()}, instance=photo)
    second = way.form(Photo, {"title": "Dune"}, instance=photo)
    assert first.is_valid()
    assert second.is_valid()
    first.save()
    second.save()


@case(Photo)
def the_second_form_for_an_instance_whose_first_was_invalid(way):
    photo = Photo()
    files = {"image": way.upload("not.jpg", seed=1)}
    assert not way.form(Photo, {}, files, fields=["title", "image"], instance=photo).is_valid()
    files = {"image": way.upload("dune.jpg", seed=2)}
    way.form(Photo, {"title": "Dune"}, files, instance=photo).save()


@case(Photo)
def an_image_that_clean_replaces(way):
    class Form(way.form_class):
        class Meta:
            model = Photo
            fields = ["title", "image"]

        def clean(self):
            self.cleaned_data["image"] = way.upload("other.jpg", seed=2)

    Form({"title": "Dune"}, {"image": way.upload(seed=1)}).save()


@case(Photo)
def an_image_that_validation_of_the_model_replaces(way):
    way.form(Retouched, {"title": "Dune"}, {"image": way.upload()}).save()


@case(Photo)
def an_image_that_the_view_renames_after_validation(way):
    form = way.form(Photo, {"title": "Dune"}, {"image": way.upload()})
    assert form.is_valid()
    form.instance.image.name = "renamed.jpg"
    form.save()


@case(Photo)
def an_image_that_the_view_replaces_after_validation(way):
    form = way.form(Photo, {"title": "Dune"}, {"image": way.upload(seed=1)})
    assert form.is_valid()
    form.instance.image = way.upload("other.jpg", seed=2)
    form.save()


# Return values of clean_image()


def form_cleaning_images_with(way, clean):
    class Form(way.form_class):
        class Meta:
            model = Photo
            fields = ["title", "image"]

        def clean_image(self):
            return clean(self.cleaned_data["image"])

    return Form({"title": "Dune"}, {"image": way.upload()})


@case(Photo)
def a_content_file_from_clean_image(way):
    data = pictures.jpeg(seed=2)
    form_cleaning_images_with(way, lambda image: ContentFile(data, name="clean.jpg")).save()


def encoded_again(image, size):
    buffer = io.BytesIO()
    Image.open(image).convert("L").save(buffer, "PNG")
    return InMemoryUploadedFile(buffer, "ImageField", "grey.png", "image/png", size, None)


@case(Photo)
def an_image_that_clean_image_encodes_again(way):
    form_cleaning_images_with(way, lambda image: encoded_again(image, 1234)).save()


@case(Photo)
def an_image_that_clean_image_encodes_again_without_a_size(way):
    form_cleaning_images_with(way, lambda image: encoded_again(image, None)).save()


@case(Photo)
def an_open_file_from_clean_image(way):
    data = pictures.jpeg(seed=2)
    form_cleaning_images_with(way, lambda image: File(io.BytesIO(data), name="open.jpg")).save()


@case(Photo, uploads=0)
def the_name_of_a_stored_image_from_clean_image(way):
    stored = Photo.objects.create(title="Old", image=way.upload("old.jpg")).image.name
    form_cleaning_images_with(way, lambda image: stored).save()


@case(Photo, uploads=0)
def the_image_of_another_instance_from_clean_image(way):
    other = Photo.objects.create(title="Old", image=way.upload("old.jpg"))
    form_cleaning_images_with(way, lambda image: other.image).save()


# Changing an instance


def with_two_images(way):
    images = {"image": way.upload("a.jpg", 30, 30, 1), "cover": way.upload("b.jpg", 30, 30, 2)}
    return Measured.objects.create(title="Old", **images)


@case(Measured, uploads=2)
def an_update_that_replaces_images(way):
    instance = with_two_images(way)
    files = {"image": way.upload("c.jpg", 40, 10, 3), "cover": way.upload("d.jpg", 10, 40, 4)}
    way.form(Measured, {"title": "New"}, files, instance=instance).save()


@case(Measured, uploads=1)
def an_update_that_clears_one_image_and_replaces_another(way):
    instance = with_two_images(way)
    data, files = {"title": "New", "image-clear": "on"}, {"cover": way.upload("d.jpg", 10, 40, 4)}
    way.form(Measured, data, files, fields=["title", "image", "cover"], instance=instance).save()


@case(Measured, uploads=0)
def an_update_that_leaves_images_alone(way):
    instance = with_two_images(way)
    fields = ["title", "image", "cover"]
    way.form(Measured, {"title": "New"}, fields=fields, instance=instance).save()


@case(Measured, uploads=0)
def an_update_that_clears_both_images(way):
    instance = with_two_images(way)
    data = {"title": "New", "image-clear": "on", "cover-clear": "on"}
    way.form(Measured, data, fields=["title", "image", "cover"], instance=instance).save()


@case(Photo)
def an_image_of_the_name_of_the_old_one(way):
    photo = Photo.objects.create(title="Dune", image=way.upload("dune.jpg", seed=1))
    files = {"image": way.upload("dune.jpg", seed=2)}
    way.form(Photo, {"title": "Dune"}, files, instance=photo).save()


@case(Stated)
def dimensions_in_the_form_of_a_new_image(way):
    data = {"title": "New", "width": "1", "height": "2"}
    Stated.objects.create(title="Old", image=way.upload("a.jpg", 30, 20, 1))
    way.form(
        Stated, data, {"image": way.upload("b.jpg", 40, 10, 2)}, instance=Stated.objects.get()
    ).save()


@case(Stated, uploads=0)
def dimensions_in_the_form_of_an_image_that_stays(way):
    data = {"title": "New", "width": "1", "height": "2"}
    Stated.objects.create(title="Old", image=way.upload("a.jpg", 30, 20, 1))
    way.form(Stated, data, fields=[*data, "image"], instance=Stated.objects.get()).save()


@case(Stated, uploads=0)
def dimensions_in_a_form_without_the_image(way):
    data = {"title": "New", "width": "1", "height": "2"}
    Stated.objects.create(title="Old", image=way.upload("a.jpg", 30, 20, 1))
    way.form(Stated, data, instance=Stated.objects.get()).save()


# Formsets


def management(total, initial=0, prefix="form"):
    return {f"{prefix}-TOTAL_FORMS": str(total), f"{prefix}-INITIAL_FORMS": str(initial)}


def photo_formset(way, data, files):
    formset_class = modelformset_factory(
        Photo, form=way.form_class, fields=["title", "image"], can_delete=True
    )
    return formset_class(data, files, queryset=Photo.objects.order_by("pk"))


@case(Photo, uploads=3)
def a_model_formset_that_adds_changes_and_deletes(way):
    first, second, third = (
        Photo.objects.create(title=name, image=way.upload(f"{name}.jpg", seed=seed))
        for seed, name in enumerate(["first", "second", "third"])
    )
    data = {
        **management(5, 3),
        "form-0-id": first.pk,
        "form-0-title": "First",
        "form-1-id": second.pk,
        "form-1-title": "Second",
        "form-2-id": third.pk,
        "form-2-title": "Third",
        "form-2-DELETE": "on",
        "form-3-title": "Fourth",
        "form-4-title": "Fifth",
    }
    files = {f"form-{n}-image": way.upload(f"new-{n}.jpg", seed=10 + n) for n in (1, 3, 4)}
    photo_formset(way, data, files).save()


@case(Photo, uploads=2)
def a_model_formset_whose_instances_the_view_saves(way):
    data = {**management(3), "form-0-title": "First", "form-1-title": "Second"}
    files = {f"form-{n}-image": way.upload(f"{n}.jpg", seed=n) for n in (0, 1)}
    formset = photo_formset(way, data, files)
    assert formset.is_valid()
    for photo in formset.save(commit=False):
        photo.title = photo.title.upper()
        photo.save()


@case(Album, Page, uploads=3)
def an_inline_formset(way):
    album = Album.objects.create(name="Arrakis")
    old = Page.objects.create(album=album, image=way.upload("old.jpg", seed=1), caption="Old")
    data = {
        **management(3, 1, prefix="pages"),
        "pages-0-id": old.pk,
        "pages-0-caption": "Changed",
        "pages-1-caption": "New",
    }
    files = {f"pages-{n}-image": way.upload(f"{n}.jpg", seed=10 + n) for n in range(3)}
    formset_class = inlineformset_factory(
        Album, Page, form=way.form_class, fields=["image", "caption"]
    )
    formset_class(data, files, instance=album).save()


# The admin


def log_in(way):
    user = get_user_model().objects.filter(username="admin").first()
    way.client.force_login(user or get_user_model().objects.create_superuser("admin"))


@case(Photo)
def the_admins_add_page(way):
    log_in(way)
    data = {"title": "Dune", "image": way.upload()}
    assert way.post("admin/project/photo/add/", data).status_code == 302


@case(Photo)
def the_admins_change_page(way):
    log_in(way)
    photo = Photo.objects.create(title="Old", image=way.upload("old.jpg", seed=1))
    data = {"title": "New", "image": way.upload("new.jpg", seed=2)}
    assert way.post(f"admin/project/photo/{photo.pk}/change/", data).status_code == 302


@case(Album, Page, uploads=3)
def the_admins_inlines(way):
    log_in(way)
    country = Country.objects.create(code="NA")
    data = {
        "name": "Arrakis",
        "cover": way.upload("cover.jpg", seed=1),
        **management(2, prefix="pages"),
        "pages-0-caption": "First",
        "pages-0-image": way.upload("first.jpg", seed=2),
        "pages-0-tags": [country.pk],
        "pages-1-image": way.upload("second.jpg", seed=3),
    }
    assert way.post("admin/project/album/add/", data).status_code == 302


@case(Album, Page, uploads=3)
def the_admins_inlines_on_change(way):
    log_in(way)
    album = Album.objects.create(name="Arrakis", cover=way.upload("old-cover.jpg", seed=1))
    page = Page.objects.create(album=album, image=way.upload("old.jpg", seed=2))
    gone = Page.objects.create(album=album, image=way.upload("gone.jpg", seed=3))
    data = {
        "name": "Dune",
        "cover": way.upload("cover.jpg", seed=4),
        **management(3, 2, prefix="pages"),
        "pages-0-id": page.pk,
        "pages-0-album": album.pk,
        "pages-0-image": way.upload("changed.jpg", seed=5),
        "pages-1-id": gone.pk,
        "pages-1-album": album.pk,
        "pages-1-DELETE": "on",
        "pages-2-album": album.pk,
        "pages-2-image": way.upload("added.jpg", seed=6),
    }
    assert way.post(f"admin/project/album/{album.pk}/change/", data).status_code == 302


# Odd models


@case(Restaurant, Place, uploads=2)
def a_child_with_an_image_in_each_table(way):
    files = {"image": way.upload("front.jpg", seed=1), "menu": way.upload("menu.jpg", seed=2)}
    way.form(Restaurant, {"name": "Sietch"}, files).save()


@case(Restaurant, Place, uploads=2)
def a_child_that_is_changed(way):
    restaurant = Restaurant.objects.create(
        name="Sietch", image=way.upload("a.jpg", seed=1), menu=way.upload("b.jpg", seed=2)
    )
    files = {"image": way.upload("front.jpg", seed=3), "menu": way.upload("menu.jpg", seed=4)}
    way.form(Restaurant, {"name": "Tabr"}, files, instance=restaurant).save()


@case(Restaurant, Place)
def a_parent_that_has_a_child(way):
    restaurant = Restaurant.objects.create(name="Sietch", menu=way.upload("menu.jpg", seed=1))
    place, files = restaurant.place_ptr, {"image": way.upload("front.jpg", seed=2)}
    way.form(Place, {"name": "Tabr"}, files, instance=place).save()


@case(Place)
def a_proxy(way):
    way.form(PlaceProxy, {"name": "Sietch"}, {"image": way.upload()}).save()


@case(Keyed)
def a_uuid_for_a_key(way):
    way.form(Keyed, {}, {"image": way.upload()}).save()


@case(Slugged)
def a_key_that_the_form_has(way):
    way.form(Slugged, {"slug": "dune"}, {"image": way.upload()}).save()


@case(Slugged)
def a_key_that_the_form_has_on_change(way):
    instance = Slugged.objects.create(slug="dune", image=way.upload("old.jpg", seed=1))
    files = {"image": way.upload("new.jpg", seed=2)}
    way.form(Slugged, {"slug": "dune"}, files, instance=instance).save()


@case(Flag)
def a_key_that_is_a_relation(way):
    data = {"country": Country.objects.create(code="NA").code}
    way.form(Flag, data, {"image": way.upload()}).save()


@case(Flag)
def a_key_that_is_a_relation_on_change(way):
    country = Country.objects.create(code="NA")
    flag = Flag.objects.create(country=country, image=way.upload("old.jpg", seed=1))
    way.form(Flag, {}, {"image": way.upload("new.jpg", seed=2)}, instance=flag).save()


@case(Shelved)
def a_key_of_two_columns(way):
    way.form(Shelved, {"shelf": "sand", "position": "3"}, {"image": way.upload()}).save()


@case(Shelved)
def a_key_of_two_columns_on_change(way):
    shelved = Shelved.objects.create(shelf="sand", position=3, image=way.upload("a.jpg", seed=1))
    way.form(Shelved, {}, {"image": way.upload("b.jpg", seed=2)}, instance=shelved).save()


@case(Elsewhere)
def the_second_database(way):
    way.form(Elsewhere, {"title": "Moon"}, {"image": way.upload()}).save()


@case(Elsewhere)
def the_second_database_on_change(way):
    instance = Elsewhere.objects.create(title="Moon", image=way.upload("old.jpg", seed=1))
    files = {"image": way.upload("new.jpg", seed=2)}
    way.form(Elsewhere, {"title": "Io"}, files, instance=instance).save()


@case(ByKey, uploads=0)
def a_default_image(way):
    way.form(ByKey, {"title": "Dune"}, fields=["title", "image"]).save()


@case(ByKey)
def a_name_made_from_the_key_in_place_of_a_default_image(way):
    instance = ByKey.objects.create(title="Dune")
    way.form(ByKey, {"title": "Dune"}, {"image": way.upload()}, instance=instance).save()


@case(ByKey)
def an_image_in_place_of_null(way):
    instance = ByKey.objects.create(title="Dune", image=None)
    way.form(ByKey, {"title": "Dune"}, {"image": way.upload()}, instance=instance).save()


@case(ByKey, uploads=0)
def null_that_stays(way):
    instance = ByKey.objects.create(title="Dune", image=None)
    way.form(ByKey, {"title": "Moon"}, instance=instance).save()


@case(Shrunk)
def a_model_that_changes_its_image_where_it_lies(way):
    way.form(Shrunk, {}, {"image": way.upload("large.jpg", 300, 200)}).save()


@case(Shrunk)
def a_model_that_changes_its_new_image_where_it_lies(way):
    shrunk = Shrunk.objects.create(image=way.upload("old.jpg", 200, 300, seed=1))
    way.form(Shrunk, {}, {"image": way.upload("new.jpg", 300, 200, seed=2)}, instance=shrunk).save()


@case(Document, uploads=2)
def a_plain_file_that_the_form_names(way):
    class Form(way.form_class):
        async_fields = ["file", "scan"]

        class Meta:
            model = Document
            fields = ["title", "file", "scan"]

    files = {"file": way.upload("report.pdf", seed=1), "scan": way.upload("scan.jpg", seed=2)}
    Form({"title": "Report"}, files).save()


@pytest.mark.parametrize("kind", ["in_memory", "on_disk"])
@pytest.mark.parametrize(("function", "models", "uploads"), CASES)
def test_the_stored_rows_and_files_are_those_of_plain_django(
    function, models, uploads, kind, staging, do_both_ways, in_memory, on_disk, settings
):
    if kind == "on_disk":
        settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 0

    def upload(name="dune.jpg", width=64, height=48, seed=0):
        make = in_memory if kind == "in_memory" else on_disk
        return make(name, pictures.jpeg(width, height, seed))

    expected, stored, saved = do_both_ways(function, models, upload)

    assert stored == expected
    assert saved == uploads


# Names


ODD_NAMES = [
    "../../etc/passwd.jpg",
    "..\\..\\boot.jpg",
    "/etc/passwd.jpg",
    "C:\\photos\\dune.jpg",
    "....jpg",
    ".jpg",
    ".hidden.jpg",
    "-rf.jpg",
    "~.jpg",
    "two  words (1).jpg",
    "dune.JPG",
    "dune.tar.jpg",
    "dune.jpg.exe",
    "dune",
    "dune.",
    "CON.jpg",
    "dünë.jpg",
    "写真.jpg",
    "🏜️.jpg",
    "a;b&c|d`e$f.jpg",
    "<script>alert(1)</script>.jpg",
    "&#46;&#46;/dune.jpg",
    "%2e%2e%2fdune.jpg",
    "{0} %s {title}.jpg",
    "nul\0l.jpg",
    "bell\a.jpg",
    "right\u202egpj.exe.jpg",
    "x" * 88 + ".jpg",
    "x" * 95 + ".jpg",
    "写" * 95 + ".jpg",
    "x" * 97 + ".jpg",
    "x" * 300 + ".jpg",
    "",
]


def raw_post(client, page, filename, data):
    """Post as a client that sends an arbitrary name."""
    body = b"\r\n".join(
        [
            b"--limit",
            b'Content-Disposition: form-data; name="title"',
            b"",
            b"Dune",
            b"--limit",
            b'Content-Disposition: form-data; name="image"; filename="%s"' % filename.encode(),
            b"Content-Type: image/jpeg; charset=utf-8; odd=very",
            b"",
            data,
            b"--limit--",
            b"",
        ]
    )
    return client.post(page, body, content_type="multipart/form-data; boundary=limit")


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_an_odd_name_becomes_the_name_that_plain_django_makes_of_it(name, do_both_ways, staging):
    statuses = {}

    def post(way):
        response = raw_post(way.client, f"/{way.name}/add/", name, pictures.jpeg(seed=0))
        statuses[way.name] = response.status_code

    expected, stored, _ = do_both_ways(post, [Photo], None)

    assert stored == expected
    assert statuses["async"] == statuses["plain"]


def test_a_name_made_from_the_key_contains_it_where_plain_django_has_none(in_memory):
    instance = async_form(ByKey, {}, {"image": in_memory()}).save()

    save_pending_uploads()

    instance.refresh_from_db()
    assert instance.image.name == f"by-key/{instance.pk}/dune.jpg"
