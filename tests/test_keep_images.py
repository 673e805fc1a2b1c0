"""A form that is shown again keeps its images, without JavaScript and without any URL."""

import re
from datetime import timedelta
from io import BytesIO

import pytest
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.forms import ClearableFileInput, ModelForm, modelformset_factory
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from django.utils import timezone
from django.views.generic import FormView

from django_async_forms.admin import AsyncImageAdminMixin
from django_async_forms.draft_model import Draft
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.recovery import recover
from django_async_forms.storage import staging_storage
from django_async_forms.test import save_pending_uploads
from django_async_forms.views import AsyncImageCreateView, AsyncImageUpdateView
from tests import pictures
from tests.both import roll_back
from tests.project.models import Album, Measured, Page, Photo

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_keep_images")]


class Create(AsyncImageCreateView):
    model = Photo
    fields = ["title", "image"]
    success_url = "/done/"


class Update(AsyncImageUpdateView):
    model = Photo
    fields = ["title", "image"]
    success_url = "/done/"


class CreateTwo(AsyncImageCreateView):
    model = Measured
    fields = ["title", "image", "cover"]
    success_url = "/done/"


class CautiousForm(AsyncImageModelForm):
    """Looks into each image, and finds those of one name wrong."""

    class Meta:
        model = Photo
        fields = ["title", "image"]

    def clean_image(self):
        image = self.cleaned_data["image"]
        if image.name.startswith("wrong"):
            raise ValidationError("That is the wrong image.")
        assert image.image.size == (64, 48)
        assert image.read(2) == b"\xff\xd8"
        return image


class CreateCautiously(Create):
    fields = None
    form_class = CautiousForm


class ImpatientForm(ModelForm):
    """Validates itself as soon as it is made, before its view gives it the request."""

    class Meta:
        model = Photo
        fields = ["title", "image"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.is_valid()


class CreateImpatiently(Create):
    fields = None
    form_class = ImpatientForm


class OutsideForm(AsyncImageModelForm):
    """Its input stands outside the form of the page."""

    class Meta:
        model = Photo
        fields = ["title", "image"]
        widgets = {"image": ClearableFileInput(attrs={"form": "photo"})}


class CreateOutside(Create):
    fields = None
    form_class = OutsideForm


class HidingForm(CautiousForm):
    hide_staged = ["image"]


class CreateHiding(CreateCautiously):
    form_class = HidingForm


class WithoutDrafts(Create):
    drafts = False


PhotoFormSet = modelformset_factory(Photo, AsyncImageModelForm, fields=["title", "image"], extra=2)


class Several(FormView):
    form_class = PhotoFormSet
    success_url = "/done/"

    def get_form_kwargs(self):
        kwargs = super().get_form_kwargs()
        return {
            **kwargs,
            "queryset": Photo.objects.none(),
            "form_kwargs": {"request": self.request},
        }

    def form_valid(self, form):
        form.save()
        return super().form_valid(form)

    def render_to_response(self, context, **kwargs):
        return HttpResponse(str(context["form"]))


urlpatterns = [
    path("create/", Create.as_view()),
    path("update/<int:pk>/", Update.as_view()),
    path("two/", CreateTwo.as_view()),
    path("without/", WithoutDrafts.as_view()),
    path("cautious/", CreateCautiously.as_view()),
    path("impatient/", CreateImpatiently.as_view()),
    path("hiding/", CreateHiding.as_view()),
    path("outside/", CreateOutside.as_view()),
    path("several/", Several.as_view()),
]


def picture(name="dune.jpg", data=None):
    return SimpleUploadedFile(name, data or pictures.jpeg(), "image/jpeg")


def tokens(response):
    """Return the tokens of the images that a page keeps, by the name of their hidden input."""
    page = response.content.decode()
    return dict(re.findall(r'<input type="hidden" name="([\w-]+-draft)" value="([^"]+)"', page))


def staged_files():
    """Return the names of all files in the staging storage."""
    storage = staging_storage("default")
    try:
        folders, _ = storage.listdir("default")
    except FileNotFoundError:
        return []
    return [name for folder in folders for name in storage.listdir(f"default/{folder}")[1]]


def test_an_image_that_came_back_three_times_with_an_error_was_sent_once(client, staging):
    data = pictures.jpeg()
    answer = client.post("/create/", {"title": "", "image": picture(data=data)})
    for _ in range(2):
        answer = client.post("/create/", {"title": "", **tokens(answer)})
    answer = client.post("/create/", {"title": "Dune", **tokens(answer)})

    assert answer.status_code == 302
    save_pending_uploads()
    photo = Photo.objects.get()
    assert pictures.stored(photo.image) == data
    assert photo.image.name == "photos/dune.jpg"
    assert not Draft.objects.exists()
    assert staged_files() == []


def test_a_claimed_image_stays_where_it_is_staged(client, staging):
    answer = client.post("/create/", {"title": "", "image": picture()})
    draft = Draft.objects.get()

    client.post("/create/", {"title": "Dune", **tokens(answer)})

    upload = Upload.objects.get()
    assert (upload.pk, upload.staged) == (draft.pk, draft.staged)
    assert staged_files() == [draft.pk.hex]


@pytest.mark.parametrize("size", ["in memory", "in a temporary file"])
def test_a_claimed_image_reaches_the_worker_as_the_file_that_was_sent(client, settings, size):
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 10**6 if size == "in memory" else 1
    answer = client.post("/create/", {"title": "", "image": picture("Düne 1.jpg")})

    client.post("/create/", {"title": "Dune", **tokens(answer)})

    described = Upload.objects.get().file
    expected = "InMemoryUploadedFile" if size == "in memory" else "TemporaryUploadedFile"
    assert (described["class"], described["name"]) == (expected, "Düne 1.jpg")
    assert described["content_type"] == "image/jpeg"


def test_the_token_of_an_input_outside_its_form_belongs_to_that_form(client):
    page = client.post("/outside/", {"title": "", "image": picture()}).content.decode()

    assert re.search(r'name="image-draft" value="[^"]+" form="photo"', page)


def test_the_page_names_the_image_that_it_keeps(client):
    page = client.post("/create/", {"title": "", "image": picture("<b>.jpg")}).content.decode()

    assert "&lt;b&gt;.jpg" in page
    assert not re.search(r'name="image"[^>]*required', page)


def test_each_of_several_images_of_a_form_is_kept(client):
    images = {"image": picture("one.jpg"), "cover": picture("two.jpg")}
    answer = client.post("/two/", {"title": "", **images})

    client.post("/two/", {"title": "Dune", **tokens(answer)})

    assert sorted(Upload.objects.values_list("field_name", "name")) == [
        ("cover", "two.jpg"),
        ("image", "one.jpg"),
    ]


def test_another_image_takes_the_place_of_the_kept_one(client):
    answer = client.post("/create/", {"title": "", "image": picture("one.jpg")})

    client.post("/create/", {"title": "Dune", "image": picture("two.jpg"), **tokens(answer)})

    assert Upload.objects.get().name == "two.jpg"


def test_an_image_that_is_refused_itself_is_not_kept(client):
    answer = client.post("/create/", {"title": "", "image": picture(data=b"no image")})

    assert tokens(answer) == {}
    assert not Draft.objects.exists()


def test_an_image_that_the_form_refuses_is_not_kept(client):
    answer = client.post("/cautious/", {"title": "", "image": picture("wrong.jpg")})

    assert b"That is the wrong image." in answer.content
    assert tokens(answer) == {}


def test_the_clean_method_of_a_form_finds_a_kept_image_as_one_that_was_sent(client, staging):
    answer = client.post("/cautious/", {"title": "", "image": picture()})

    assert client.post("/cautious/", {"title": "Dune", **tokens(answer)}).status_code == 302


def test_a_form_that_validates_itself_while_it_is_made_claims_its_image(client):
    answer = client.post("/impatient/", {"title": "", "image": picture()})

    assert client.post("/impatient/", {"title": "Dune", **tokens(answer)}).status_code == 302
    assert Upload.objects.count() == 1


def test_a_kept_image_is_not_opened_by_a_form_that_only_saves_it(client, location, monkeypatch):
    answer = client.post("/create/", {"title": "", "image": picture()})
    opened = []
    monkeypatch.setattr(
        FileSystemStorage, "open", lambda self, name, mode="rb": opened.append(name)
    )

    client.post("/create/", {"title": "Dune", **tokens(answer)})

    assert Upload.objects.count() == 1
    assert opened == []


def test_an_image_for_an_instance_is_kept_while_its_old_one_is_shown(client):
    photo = Photo.objects.create(title="Dune", image=picture("old.jpg"))
    answer = client.post(f"/update/{photo.pk}/", {"title": "", "image": picture("new.jpg")})

    client.post(f"/update/{photo.pk}/", {"title": "Reef", **tokens(answer)})

    assert Upload.objects.get().name == "new.jpg"
    save_pending_uploads()
    photo.refresh_from_db()
    assert photo.image.name == "photos/new.jpg"


def test_the_images_of_all_forms_of_a_formset_are_kept(client):
    management = {"form-TOTAL_FORMS": 2, "form-INITIAL_FORMS": 0}
    sent = {"form-0-image": picture("one.jpg"), "form-1-image": picture("two.jpg")}
    titles = {"form-0-title": "One", "form-1-title": ""}
    answer = client.post("/several/", {**management, **titles, **sent})

    kept = tokens(answer)
    client.post("/several/", {**management, **titles, "form-1-title": "Two", **kept})

    assert list(kept) == ["form-0-image-draft", "form-1-image-draft"]
    assert sorted(Upload.objects.values_list("name", flat=True)) == ["one.jpg", "two.jpg"]


def test_an_extra_form_that_has_kept_no_image_is_left_out(client):
    management = {"form-TOTAL_FORMS": 2, "form-INITIAL_FORMS": 0}
    answer = client.post(
        "/several/",
        {**management, "form-0-title": "", "form-0-image": picture(), "form-1-title": ""},
    )

    client.post("/several/", {**management, "form-0-title": "One", **tokens(answer)})

    assert Photo.objects.count() == 1


def test_drafts_that_are_turned_off_keep_nothing(client):
    answer = client.post("/without/", {"title": "", "image": picture()})

    assert tokens(answer) == {}
    assert not Draft.objects.exists()


def test_a_form_without_a_request_keeps_nothing(in_memory):
    form = CautiousForm({"title": ""}, {"image": in_memory()})

    assert '-draft"' not in str(form)
    assert not Draft.objects.exists()


def test_a_page_without_sessions_works_as_with_a_plain_form(client, settings):
    settings.MIDDLEWARE = []

    answer = client.post("/create/", {"title": "", "image": picture()})

    assert answer.status_code == 200
    assert tokens(answer) == {}


def test_a_staging_storage_that_fails_shows_the_page_as_with_a_plain_form(
    client, staging_is_a_file
):
    answer = client.post("/create/", {"title": "", "image": picture()})

    assert answer.status_code == 200
    assert tokens(answer) == {}


def test_a_form_that_is_shown_after_it_was_saved_keeps_nothing(rf, in_memory):
    request = rf.post("/")
    request.session = {}
    form = CautiousForm({"title": "Dune"}, {"image": in_memory()}, request=request)
    form.save()

    assert '-draft"' not in str(form)
    assert not Draft.objects.exists()


def by_another_file(image, data):
    image.file = BytesIO(data)


def by_writing(image, data):
    image.seek(0)
    image.write(data)
    image.truncate()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", [by_another_file, by_writing])
def test_a_clean_method_can_change_a_kept_image(session_request, in_memory, staging, change):
    data = pictures.jpeg()

    class ChangingForm(CautiousForm):
        def clean_image(self):
            image = super().clean_image()
            change(image, data)
            return image

    kept = kept_by(CautiousForm({"title": ""}, {"image": in_memory()}, request=session_request))
    form = ChangingForm({"title": "Dune", **kept}, {}, request=session_request)
    form.save()

    save_pending_uploads()
    assert pictures.stored(Photo.objects.get().image) == data
    assert not Draft.objects.exists()
    assert staged_files() == []


@pytest.fixture
def session_request(rf):
    """A request with a session."""
    request = rf.post("/")
    request.session = {}
    return request


def kept_by(form):
    """Return the tokens of the images that a form keeps when it is shown."""
    return dict(re.findall(r'name="([\w-]+-draft)" value="([^"]+)"', str(form)))


def sent_again(kept, request):
    """Submit a form with a token, without an error; return the name of the image."""
    form = CautiousForm({"title": "Dune", **kept}, {}, request=request)
    assert form.is_valid(), form.errors
    form.save()
    save_pending_uploads()
    return Photo.objects.get().image.name


def test_an_error_that_a_view_finds_after_save_without_commit_keeps_the_image(
    session_request, in_memory
):
    form = CautiousForm({"title": "Dune"}, {"image": in_memory()}, request=session_request)
    form.save(commit=False)
    form.add_error("title", "Somebody else has this title.")

    kept = kept_by(form)

    assert sent_again(kept, session_request) == "photos/dune.jpg"


@pytest.mark.parametrize("is_draft", [False, True], ids=["sent", "claimed"])
def test_a_save_that_is_rolled_back_keeps_the_image(session_request, in_memory, is_draft):
    files = {"image": in_memory()}
    data = {"title": "Dune"}
    if is_draft:
        data.update(kept_by(CautiousForm({"title": ""}, files, request=session_request)))
        files = {}
    form = CautiousForm(data, files, request=session_request)
    roll_back(form.save)
    form.add_error(None, "The payment was refused.")

    kept = kept_by(form)

    assert sent_again(kept, session_request) == "photos/dune.jpg"


def test_a_save_without_commit_whose_instance_was_saved_keeps_nothing(session_request, in_memory):
    form = CautiousForm({"title": "Dune"}, {"image": in_memory()}, request=session_request)
    form.save(commit=False).save()

    assert kept_by(form) == {}


def test_a_form_that_is_shown_twice_keeps_one_draft(session_request, in_memory):
    form = CautiousForm({"title": ""}, {"image": in_memory()}, request=session_request)

    assert kept_by(form) == kept_by(form) != {}
    assert Draft.objects.count() == 1


def test_a_page_that_keeps_nothing_makes_no_session(client):
    client.get("/create/")

    assert not client.cookies.get("sessionid")


def test_a_preview_is_not_shown_of_a_field_that_hides_it(client):
    page = client.post("/hiding/", {"title": "", "image": picture()}).content.decode()

    assert "dune.jpg" in page
    assert "<img" not in page


# Who may claim it, and how often


@pytest.fixture
def kept(client):
    """The form's data with the token of an image that a page keeps."""
    answer = client.post("/create/", {"title": "", "image": picture()})
    return {"title": "Dune", **tokens(answer)}


def test_an_image_is_claimed_once(client, kept):
    assert client.post("/create/", kept).status_code == 302
    answer = client.post("/create/", kept)

    assert b"The image that you sent is no longer there. Choose it again." in answer.content
    assert tokens(answer) == {}
    assert Photo.objects.count() == 1


def test_a_token_does_not_suffice(client, kept):
    answer = Client().post("/create/", kept)

    assert b"no longer there" in answer.content
    assert not Photo.objects.exists()
    assert Draft.objects.count() == 1


def test_an_image_that_was_sent_before_the_login_is_claimed_after_it(client, kept, admin_user):
    client.force_login(admin_user)

    assert client.post("/create/", kept).status_code == 302


def test_an_image_of_a_user_is_not_claimed_after_the_logout(admin_client):
    answer = admin_client.post("/create/", {"title": "", "image": picture()})
    admin_client.logout()

    again = admin_client.post("/create/", {"title": "Dune", **tokens(answer)})

    assert b"no longer there" in again.content


def test_an_image_of_another_field_is_not_claimed(client, kept):
    token = kept["image-draft"]

    answer = client.post("/two/", {"title": "Dune", "image-draft": token})

    assert b"no longer there" in answer.content
    assert not Measured.objects.exists()


@pytest.mark.parametrize("token", ["", "x", "a:b:c", "\0", "ä"])
def test_a_forged_token_writes_nothing(client, token):
    client.get("/create/")

    answer = client.post("/create/", {"title": "Dune", "image-draft": token})

    assert answer.status_code == 200
    assert not Photo.objects.exists()


def test_an_expired_image_is_not_claimed(client, kept):
    Draft.objects.update(expires_at=timezone.now())

    assert b"no longer there" in client.post("/create/", kept).content


def test_an_image_that_has_not_come_completely_is_not_claimed(client, kept):
    Draft.objects.update(received=1)

    answer = client.post("/create/", kept)

    assert b"This image was not sent completely. Choose it again." in answer.content


def test_a_page_that_is_shown_again_keeps_its_image_for_longer(client, kept):
    Draft.objects.update(expires_at=timezone.now() + timedelta(seconds=60))

    client.post("/create/", {**kept, "title": ""})

    assert Draft.objects.get().expires_at > timezone.now() + timedelta(hours=23)


def test_recovery_removes_an_expired_image_with_its_bytes(client, kept, staging):
    Draft.objects.update(expires_at=timezone.now())

    assert recover("default").expired == 1
    assert not Draft.objects.exists()
    assert staged_files() == []


def test_recovery_leaves_the_bytes_of_a_draft(client, settings, location):
    settings.ASYNC_FORMS = {"KEEP_ABANDONED": 1e-6}
    client.post("/create/", {"title": "", "image": picture()})

    assert recover("default").abandoned == 0
    assert len(staged_files()) == 1


def test_over_the_limit_of_a_sender_no_image_is_kept(client, settings):
    settings.ASYNC_FORMS = {"MAX_DRAFTS": 1}
    client.post("/create/", {"title": "", "image": picture()})

    answer = client.post("/create/", {"title": "", "image": picture()})

    assert answer.status_code == 200
    assert tokens(answer) == {}
    assert Draft.objects.count() == 1


def test_over_the_limit_of_bytes_of_the_database_no_image_is_kept(client, settings):
    data = pictures.jpeg()
    settings.ASYNC_FORMS = {"MAX_DRAFT_BYTES_IN_ALL": len(data) + 1}
    Client().post("/create/", {"title": "", "image": picture(data=data)})

    assert tokens(client.post("/create/", {"title": "", "image": picture(data=data)})) == {}


def test_a_full_backlog_does_not_refuse_an_image_that_is_kept(client, settings):
    settings.ASYNC_FORMS = {"MAX_BACKLOG": 1}
    answer = client.post("/create/", {"title": "", "image": picture()})

    assert client.post("/create/", {"title": "Dune", **tokens(answer)}).status_code == 302


def test_a_kept_image_that_a_form_clears_is_not_claimed(client):
    measured = Measured.objects.create(title="Dune")
    answer = client.post("/two/", {"title": "", "image": picture()})

    client.post("/two/", {"title": "Dune", "image-clear": "on", **tokens(answer)})

    assert measured.title
    assert not Upload.objects.exists()


# The admin


class PageInline(AsyncImageAdminMixin, admin.TabularInline):
    model = Page
    extra = 1


class AlbumAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
    inlines = [PageInline]


class AlbumAdminWithoutDrafts(AlbumAdmin):
    drafts = False


own_site, other_site = admin.AdminSite("own"), admin.AdminSite("other")
own_site.register(Album, AlbumAdmin)
other_site.register(Album, AlbumAdminWithoutDrafts)
urlpatterns += [path("own/", own_site.urls), path("other/", other_site.urls)]
INLINES = {"pages-TOTAL_FORMS": 1, "pages-INITIAL_FORMS": 0, "pages-0-caption": "One"}


def test_the_admin_keeps_the_images_of_its_form_and_of_its_inlines(admin_client):
    images = {"cover": picture("cover.jpg"), "pages-0-image": picture("page.jpg")}
    answer = admin_client.post("/own/project/album/add/", {**INLINES, "name": "", **images})

    admin_client.post("/own/project/album/add/", {**INLINES, "name": "Dunes", **tokens(answer)})

    assert sorted(Upload.objects.values_list("name", flat=True)) == ["cover.jpg", "page.jpg"]


def test_an_admin_with_drafts_turned_off_keeps_nothing(admin_client):
    answer = admin_client.post(
        "/other/project/album/add/", {**INLINES, "name": "", "cover": picture()}
    )

    assert tokens(answer) == {}
    assert not Draft.objects.exists()
