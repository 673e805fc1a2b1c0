"""Forms, formsets, views and the admin, as the how-to pages write them."""

from io import StringIO

import pytest
from django import forms
from django.contrib import admin
from django.core.management import call_command
from django.template import engines
from django.test import RequestFactory
from django.urls import path, reverse

from django_async_forms.forms import AsyncImageFormMixin
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.pages import block
from tests.recipes.models import Album, Document, Page, Photo, Profile

pytestmark = pytest.mark.django_db

FORMS = "docs/howto/forms.rst"
FORMSETS = "docs/howto/formsets.rst"
PLAIN_VIEWS = "docs/howto/plain_views.rst"
INPUT = "docs/howto/input.rst"

#: The names that a block expects from the block before it.
NAMES = {
    "forms": forms,
    "AsyncImageFormMixin": AsyncImageFormMixin,
    "Photo": Photo,
    "Document": Document,
}


def pending():
    return sorted((upload.model, upload.field_name) for upload in Upload.objects.all())


@pytest.fixture
def photo_form():
    return block(FORMS, "import AsyncImageFormMixin").execute().PhotoForm


@pytest.fixture
def post(owner):
    def post(**data):
        request = RequestFactory().post("/", data)
        request.user = owner
        return request

    return post


def test_a_custom_form_stages_its_image(photo_form, in_memory):
    photo = photo_form({"title": "Dune"}, {"image": in_memory()}).save()

    assert not photo.image
    assert pending() == [("recipes.photo", "image")]


def test_an_upload_can_be_renamed_before_the_instance_is_saved(photo_form, in_memory, post):
    form = photo_form({"title": "Dune"}, {"image": in_memory()})
    request = post()

    block(FORMS, "commit=False").execute(form=form, request=request)
    save_pending_uploads()

    photo = Photo.objects.get()
    assert photo.owner == request.user
    assert photo.image.name == f"photos/{request.user.pk}.jpg"


def test_a_custom_view_stages_the_image_of_its_form(photo_form, in_memory, post):
    page = block(FORMS, "OurCreateView").execute(PhotoForm=photo_form)

    response = page.PhotoCreateView.as_view()(post(title="Dune", image=in_memory()))

    assert response.status_code == 302
    assert pending() == [("recipes.photo", "image")]


def test_async_fields_name_the_fields_that_a_worker_saves(in_memory):
    form_class = block(FORMS, "class DocumentForm").execute(**NAMES).DocumentForm
    files = {name: in_memory() for name in ("scan", "attachment", "thumbnail")}

    document = form_class({"title": "Dune"}, files).save()

    assert pending() == [("recipes.document", "attachment"), ("recipes.document", "scan")]
    assert document.thumbnail


@pytest.mark.parametrize(("is_draft", "count"), [(True, 0), (False, 1)])
def test_async_fields_can_be_chosen_for_one_request(is_draft, count, in_memory):
    form_class = block(FORMS, "def get_async_fields").execute(**NAMES).PhotoForm
    photo = Photo.objects.create(title="Old", is_draft=is_draft)

    form_class({"title": "New"}, {"image": in_memory()}, instance=photo).save()

    assert Upload.objects.count() == count


def test_a_formset_stages_its_images(in_memory):
    page = block(FORMSETS, "modelformset_factory").execute()
    data = {"form-TOTAL_FORMS": 2, "form-INITIAL_FORMS": 0, "form-0-caption": "A dune"}
    files = {"form-0-image": in_memory(), "form-1-image": in_memory()}
    formset = page.PageFormSet(data, files, queryset=Page.objects.none())
    assert formset.is_valid()
    formset.save()
    assert pending() == [("recipes.page", "image")] * 2

    data = {"pages-TOTAL_FORMS": 1, "pages-INITIAL_FORMS": 0}
    formset = page.AlbumPagesFormSet(data, {"pages-0-image": in_memory()}, prefix="pages")
    form = forms.modelform_factory(Album, fields=["name"])({"name": "Dunes"})
    assert formset.is_valid()
    block(FORMSETS, "formset.instance").execute(form=form, formset=formset)

    save_pending_uploads()
    assert Page.objects.exclude(image="").count() == 3
    assert Album.objects.get().page_set.count() == 1


def test_a_page_with_several_images_shows_and_saves_them_in_order(in_memory, post):
    page = block(FORMSETS, "def edit_pictures").execute()
    template = block(FORMSETS, "async_formset formset").code
    album = Album.objects.create(name="Dunes")
    request = post()
    formset = page.PictureFormSet(instance=album, form_kwargs={"request": request})
    html = engines["django"].from_string(template).render({"formset": formset}, request)
    assert 'data-order="position"' in html
    assert 'id="picture_set-empty"' in html

    data = {"picture_set-TOTAL_FORMS": 2, "picture_set-INITIAL_FORMS": 0}
    for index in range(2):
        data[f"picture_set-{index}-position"] = 2 - index
        data[f"picture_set-{index}-image"] = in_memory(f"{index}.jpg")
    response = page.edit_pictures(post(**data), album.pk)
    save_pending_uploads()

    assert response.url == album.get_absolute_url()
    names = [picture.image.name for picture in album.picture_set.all()]
    assert names == ["pictures/1.jpg", "pictures/0.jpg"]


def test_a_template_of_ones_own_for_several_images_has_all_that_the_formset_needs(post):
    page = block(FORMSETS, "def edit_pictures").execute()
    formset = page.PictureFormSet(
        instance=Album.objects.create(name="Dunes"), form_kwargs={"request": post()}
    )
    block_of_form = block(FORMSETS, "block form").render(
        formset=formset, forms=[*formset, formset.empty_form], field="image", order="position"
    )

    for name in formset.empty_form.fields:
        assert f'name="picture_set-__prefix__-{name}"' in block_of_form


def test_a_view_without_a_model_form_stages_an_image(in_memory, post, owner):
    page = block(PLAIN_VIEWS, "change_avatar").execute()
    profile = Profile.objects.create(user=owner)

    response = page.change_avatar(post(avatar=in_memory()), profile.pk)

    assert response.url == profile.get_absolute_url()
    assert pending() == [("recipes.profile", "avatar")]


def test_an_instance_and_its_image_are_saved_in_one_transaction(in_memory, post):
    request = post(avatar=in_memory())
    names = vars(block(PLAIN_VIEWS, "change_avatar").execute())

    block(PLAIN_VIEWS, "transaction.atomic").execute(**{**names, "request": request})

    assert Profile.objects.get().user == request.user
    assert pending() == [("recipes.profile", "avatar")]


def test_a_file_that_no_browser_sent_is_saved():
    names = vars(block(PLAIN_VIEWS, "change_avatar").execute())
    photo, data = Photo.objects.create(title="Dune"), pictures.jpeg()

    block(PLAIN_VIEWS, "ContentFile").execute(**{**names, "photo": photo, "data": data})
    save_pending_uploads()

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data


@pytest.mark.parametrize(
    ("form", "template"), [("FormHelper", "{% async_form"), ("image_widget", "{{ form.media")]
)
def test_a_file_input_has_a_preview(form, template, rf):
    form_class = block(INPUT, form).execute().PhotoForm

    html = block(INPUT, template).render(rf.get("/"), form=form_class())

    assert "<async-image-input" in html
    assert "async-image-input.js" in html


def test_the_admin_stages_its_images(admin_client, settings, in_memory):
    block("docs/howto/admin.rst", "AsyncImageAdminMixin").execute()
    try:
        settings.ROOT_URLCONF = (path("admin/", admin.site.urls),)
        data = {
            "name": "Dunes",
            "page_set-TOTAL_FORMS": 1,
            "page_set-INITIAL_FORMS": 0,
            "page_set-0-caption": "A dune",
            "page_set-0-image": in_memory(),
            "cover": in_memory(),
        }
        admin_client.post(reverse("admin:recipes_album_add"), data)
        listed = admin_client.get(reverse("admin:recipes_album_changelist"))
        change = reverse("admin:recipes_album_change", args=[Album.objects.get().pk])
        changed = admin_client.get(change)
    finally:
        admin.site.unregister(Album)

    assert pending() == [("recipes.album", "cover"), ("recipes.page", "image")]
    assert "Cover: pending" in listed.text
    assert 'data-state="pending"' in changed.text


def test_forms_refuse_files_beyond_the_limits(settings, in_memory):
    settings.ASYNC_FORMS = block("docs/howto/limits.rst", "MAX_BYTES").execute().ASYNC_FORMS
    settings.ASYNC_FORMS = {**settings.ASYNC_FORMS, "MAX_PIXELS": 64 * 48 - 1}
    form_class = block("docs/howto/limits.rst", "clean_image").execute().CoverForm

    assert form_class({"title": "Dune"}, {"image": in_memory()}).has_error(
        "image", "too_many_pixels"
    )


def test_a_form_can_have_its_own_limit(in_memory):
    form_class = block("docs/howto/limits.rst", "clean_image").execute().CoverForm
    wide = in_memory(data=pictures.jpeg(1200, 100))

    assert not form_class({"title": "Dune"}, {"image": in_memory()}).is_valid()
    photo = form_class({"title": "Dune"}, {"image": wide}).save()
    save_pending_uploads()
    photo.refresh_from_db()
    assert form_class({"title": "Dunes"}, {}, instance=photo).is_valid()
    assert form_class({"title": "Dunes", "image-clear": "on"}, {}, instance=photo).is_valid()


def test_a_command_prints_what_saves_images_as_the_page_shows():
    class QuickForm(forms.ModelForm):
        class Meta:
            model = Photo
            fields = ["image"]

    out = StringIO()
    call_command("async_uploads", "forms", stdout=out)

    printed = out.getvalue()
    assert "recipes.Photo.image: DatabaseStorage in the database 'default', then" in printed
    assert (
        f"    request  {__name__}.{QuickForm.__qualname__}: it has no AsyncImageFormMixin"
        in printed
    )
    shown = block(FORMS, "async_uploads forms").code
    for text in ("    worker   ", "    request  ", ": it has no ", " comes after "):
        assert text in shown


def test_an_inline_of_the_admin_takes_several_images(admin_client, settings):
    block(FORMSETS, "several_images").execute()
    try:
        settings.ROOT_URLCONF = (path("admin/", admin.site.urls),)
        html = admin_client.get(reverse("admin:recipes_album_add")).content.decode()
    finally:
        admin.site.unregister(Album)

    assert 'data-order="position"' in html
    assert 'id="id_picture_set-several"' in html
