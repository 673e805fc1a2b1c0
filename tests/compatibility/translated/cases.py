"""django-modeltranslation: each language has its image field, and a form writes those it names."""

import pytest
from django import forms
from django.contrib.admin import AdminSite, StackedInline
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.core.files.uploadedfile import SimpleUploadedFile
from django.forms import modelform_factory
from django.urls import path
from django.utils.translation import deactivate, override
from modeltranslation.admin import TranslationAdmin, TranslationStackedInline

from django_async_forms.admin import AsyncImageAdminMixin
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.signals import image_saved
from django_async_forms.tasks import save_image_task
from django_async_forms.test import save_pending_uploads
from tests import pictures

from .models import Album, Page, Photo

pytestmark = pytest.mark.django_db


class PhotoAdmin(AsyncImageAdminMixin, TranslationAdmin):
    list_display = ["title", "async_uploads"]


class PageInline(AsyncImageAdminMixin, TranslationStackedInline, StackedInline):
    model = Page
    extra = 1


class AlbumAdmin(AsyncImageAdminMixin, TranslationAdmin):
    inlines = [PageInline]


site = AdminSite(name="admin")
site.register(Photo, PhotoAdmin)

urlpatterns = [path("admin/", site.urls)]


@pytest.fixture(autouse=True)
def no_language():
    """A process in which no language is active, as in a worker."""
    deactivate()
    yield
    deactivate()


@pytest.fixture
def photo(in_memory):
    """A photo with an image in both languages."""
    with override("en"):
        return Photo.objects.create(
            title_en="Old",
            title_de="Alt",
            image_en=in_memory("old-en.jpg"),
            image_de=in_memory("old-de.jpg"),
        )


@pytest.fixture
def admin(client):
    client.force_login(User.objects.create_superuser("boss"))
    return client


def save(language, data, files, instance=None, base=AsyncImageModelForm):
    """Save a form with the fields of its data and files, while a language is active."""
    names = [*data, *files]
    fields = [name.removesuffix("-clear") for name in names]
    with override(language):
        form = modelform_factory(instance.__class__ if instance else Photo, base, fields=fields)(
            data, files, instance=instance
        )
        assert form.is_valid(), form.errors
        return form.save()


def columns():
    """Return the columns of the only photo, for each language."""
    return Photo.objects.rewrite(False).values_list("image_en", "image_de").get()


def attached():
    """Return the columns after the work of a worker, in which no language is active."""
    for upload in Upload.objects.all():
        save_image_task.apply(args=[str(upload.pk), "default"])
    assert not Upload.objects.exists()
    return columns()


def checks_of(form_class):
    return [message for message in run_checks() if message.obj is form_class]


# Forms


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_form_with_the_german_image_writes_the_german_image_only(language, photo, in_memory):
    data = pictures.jpeg()
    save(language, {"note": "New"}, {"image_de": in_memory("new.jpg", data)}, photo)
    assert columns() == ("en/old-en.jpg", "en/old-de.jpg")

    assert attached() == ("en/old-en.jpg", f"{language}/new.jpg")
    assert pictures.stored(Photo.objects.get().image_de) == data


def test_a_new_photo_with_a_german_image_has_no_english_one(in_memory):
    save("de", {"title_de": "Neu"}, {"image_de": in_memory("new.jpg")})

    english, german = attached()

    assert not english
    assert german == "de/new.jpg"


def test_a_form_with_both_images_attaches_each_to_its_language(photo, in_memory):
    english, german = pictures.jpeg(), pictures.jpeg()
    files = {
        "image_en": in_memory("new.jpg", english),
        "image_de": in_memory("new.jpg", german),
    }
    save("de", {"note": "New"}, files, photo)
    assert Upload.objects.count() == 2

    attached()

    found = Photo.objects.get()
    assert pictures.stored(found.image_en) == english
    assert pictures.stored(found.image_de) == german


def test_a_form_without_an_image_leaves_both(photo):
    save("de", {"title_de": "Neu"}, {}, photo)

    assert columns() == ("en/old-en.jpg", "en/old-de.jpg")


def test_clearing_the_german_image_leaves_the_english_one(photo):
    save("de", {"image_de-clear": "on"}, {}, photo)

    english, german = columns()

    assert english == "en/old-en.jpg"
    assert not german


def test_a_form_in_english_meanwhile_leaves_the_german_image_pending(photo, in_memory):
    save("de", {"title_de": "Neu"}, {"image_de": in_memory("new.jpg")}, photo)
    save("en", {"title_en": "New"}, {"image_en": in_memory("new.jpg")}, Photo.objects.get())
    assert Upload.objects.count() == 2

    assert attached() == ("en/new.jpg", "de/new.jpg")


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_stored_rows_and_files_are_those_of_a_plain_form(language, in_memory, settings):
    stored = []
    for base in (forms.ModelForm, AsyncImageModelForm):
        settings.MEDIA_ROOT = settings.DATA / base.__name__ / language
        files = {"image_de": in_memory("a.jpg", pictures.jpeg(seed=1))}
        save(language, {"title_de": "Neu"}, files, base=base)
        attached()
        files = {
            "image_en": in_memory("b.jpg", pictures.jpeg(seed=2)),
            "image_de": in_memory("c.jpg", pictures.jpeg(seed=3)),
        }
        save(language, {"title_de": "Neuer"}, files, Photo.objects.get(), base=base)
        attached()
        photo = Photo.objects.get()
        names = photo.image_en.name, photo.image_de.name, photo.title_en, photo.title_de
        stored.append((*names, pictures.stored(photo.image_en), pictures.stored(photo.image_de)))
        photo.delete()

    assert stored[0] == stored[1]


def test_a_page_shows_the_english_image_while_the_german_one_is_pending(in_memory):
    with override("en"):
        photo = Photo.objects.create(image_en=in_memory("old-en.jpg"))

    instance = save("de", {"note": "New"}, {"image_de": in_memory("new.jpg")}, photo)

    with override("de"):
        assert instance.image.name == Photo.objects.get().image.name == "en/old-en.jpg"


def test_saving_the_instance_again_leaves_the_attached_image(photo, in_memory):
    instance = save("de", {"note": "New"}, {"image_de": in_memory("new.jpg")}, photo)
    attached()

    with override("de"):
        instance.note = "Newer"
        instance.save()

    assert columns() == ("en/old-en.jpg", "de/new.jpg")


def test_deleting_the_photo_discards_the_uploads_of_both_languages(photo, in_memory):
    files = {"image_en": in_memory("new.jpg"), "image_de": in_memory("new.jpg")}
    save("de", {"note": "New"}, files, photo)
    assert Upload.objects.count() == 2

    Photo.objects.get().delete()

    assert not Upload.objects.exists()


# The worker's language


def test_the_worker_has_the_language_of_the_request(in_memory):
    save("de", {"note": "New"}, {"image_de": in_memory("new.jpg")})

    assert attached()[1] == "de/new.jpg"


def test_receivers_in_the_worker_find_the_image_of_the_requests_language(connect, photo, in_memory):
    names = []

    def note(instance, **kwargs):
        names.append((instance.image.name, instance.title))

    save("de", {"note": "New"}, {"image_de": in_memory("new.jpg")}, photo)
    connect(image_saved, note)
    attached()

    assert names == [("de/new.jpg", "Alt")]


# The original


def test_the_check_refuses_a_form_with_the_original():
    class OriginalForm(AsyncImageModelForm):
        class Meta:
            model = Photo
            fields = ["title", "image"]

    (message,) = checks_of(OriginalForm)

    assert message.id == "django_async_forms.E018"
    assert "translated.Photo.image" in message.msg
    assert "'image_en'" in message.hint or "'image_de'" in message.hint


def test_the_check_takes_a_form_with_the_translated_fields():
    class TranslatedForm(AsyncImageModelForm):
        class Meta:
            model = Photo
            fields = ["title", "image_en", "image_de"]

    assert checks_of(TranslatedForm) == []


def test_the_check_takes_the_admin_of_modeltranslation():
    assert checks_of(PhotoAdmin(Photo, site).form) == []


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_form_with_the_original_saves_it_in_the_request_for_its_language(
    language, photo, in_memory
):
    expected = {"en": "en/old-en.jpg", "de": "en/old-de.jpg", language: f"{language}/new.jpg"}

    save(language, {"note": "New"}, {"image": in_memory("new.jpg")}, photo)

    assert not Upload.objects.exists()
    assert columns() == (expected["en"], expected["de"])


def test_a_form_with_the_original_stores_one_file(photo, in_memory, media):
    save("de", {"note": "New"}, {"image": in_memory("new.jpg")}, photo)

    assert [path.name for path in (media / "de").iterdir()] == ["new.jpg"]


def test_clearing_the_original_clears_the_image_of_its_language(photo):
    save("de", {"image-clear": "on"}, {}, photo)

    english, german = columns()

    assert english == "en/old-en.jpg"
    assert not german


def test_the_original_beside_the_german_field_leaves_the_english_image(photo, in_memory):
    files = {"image": in_memory("first.jpg"), "image_de": in_memory("new.jpg")}

    save("de", {"note": "New"}, files, photo)

    assert attached()[0] == "en/old-en.jpg"


# The admin


def test_the_admin_stages_the_german_image_and_leaves_the_english_one(admin, photo):
    image = SimpleUploadedFile("new.jpg", pictures.jpeg(), "image/jpeg")
    data = {"title_en": "New", "title_de": "Neu", "image_de": image}

    response = admin.post(f"/admin/translated/photo/{photo.pk}/change/", data)

    assert response.status_code == 302
    assert columns() == ("en/old-en.jpg", "en/old-de.jpg")
    assert attached() == ("en/old-en.jpg", "en/new.jpg")


def test_the_admin_adds_a_photo_with_an_image_in_each_language(admin):
    english, german = pictures.jpeg(), pictures.jpeg()
    data = {
        "title_en": "New",
        "image_en": SimpleUploadedFile("en.jpg", english, "image/jpeg"),
        "image_de": SimpleUploadedFile("de.jpg", german, "image/jpeg"),
    }

    response = admin.post("/admin/translated/photo/add/", data)
    attached()

    assert response.status_code == 302
    photo = Photo.objects.get()
    assert pictures.stored(photo.image_en) == english
    assert pictures.stored(photo.image_de) == german


def test_the_change_page_shows_that_the_german_image_is_pending(admin, photo, in_memory):
    save("de", {"note": "New"}, {"image_de": in_memory("new.jpg")}, photo)

    page = admin.get(f"/admin/translated/photo/{photo.pk}/change/").content.decode()

    assert "async-image" in page


def test_the_change_list_names_the_pending_field(admin, photo, in_memory):
    save("de", {"note": "New"}, {"image_de": in_memory("new.jpg")}, photo)

    page = admin.get("/admin/translated/photo/").content.decode()

    assert "Image [de]: pending" in page


def test_an_inline_of_the_admin_stages_the_image(admin):
    album = Album.objects.create(name="Dunes")
    inline = PageInline(Album, site)
    formset_class = inline.get_formset(_request(admin))
    data = {
        "page_set-TOTAL_FORMS": "1",
        "page_set-INITIAL_FORMS": "0",
    }
    files = {"page_set-0-image_de": SimpleUploadedFile("new.jpg", pictures.jpeg(), "image/jpeg")}
    formset = formset_class(data, files, instance=album)
    assert formset.is_valid(), formset.errors

    formset.save()
    assert save_pending_uploads() == 1

    page = Page.objects.rewrite(False).values_list("image_en", "image_de").get()
    assert not page[0]
    assert page[1] == "pages/new.jpg"


def _request(admin):
    return admin.get("/admin/").wsgi_request
