"""The generic views: whatever form class they have, the page works and the image is staged."""

import html
import re
from contextlib import closing

import pytest
from crispy_forms.helper import FormHelper
from crispy_forms.layout import Layout, Submit
from django import forms
from django.contrib.messages import get_messages
from django.contrib.messages.views import SuccessMessageMixin
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.db.models.signals import pre_save
from django.forms import modelform_factory
from django.template import TemplateDoesNotExist
from django.test import Client
from django.urls import include, path
from django.utils.functional import SimpleLazyObject
from django.utils.html import strip_tags
from django.views.generic import CreateView, FormView

from django_async_forms.forms import AsyncImageFormMixin, AsyncImageModelForm
from django_async_forms.models import Draft, Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.views import AsyncImageCreateView, AsyncImageUpdateView, AsyncImageViewMixin
from django_async_forms.widgets import AsyncImageInput
from tests import pictures
from tests.project.models import Document, Measured, Photo

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_views")]


# Forms of a project


class PlainForm(forms.ModelForm):
    class Meta:
        model = Photo
        fields = ["title", "image"]

    def clean_title(self):
        return self.cleaned_data["title"].title()


class MixedForm(AsyncImageFormMixin, forms.ModelForm):
    class Meta:
        model = Photo
        fields = ["title", "image"]


class LaidOutForm(PlainForm):
    """Has a helper of its own, as crispy-forms has them."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.helper = FormHelper(self)
        self.helper.form_id = "the-projects-form"
        self.helper.layout = Layout("image", "title", Submit("go", "Upload now"))


class ContactForm(forms.Form):
    title = forms.CharField()
    image = forms.ImageField()


# Views of a project

FIELDS = ["title", "image"]


class WithFields(AsyncImageCreateView):
    model = Photo
    fields = FIELDS


class WithFormByRequest(AsyncImageCreateView):
    """Its form class is known once there is a request, as with one for members of the staff."""

    model = Photo

    def get_form_class(self):
        self.fields = FIELDS if self.request else []
        return super().get_form_class()


class WithViewMixin(AsyncImageViewMixin, CreateView):
    model = Photo
    fields = FIELDS


class WithFormInGetForm(AsyncImageCreateView):
    """Passes its form class on in ``get_form()``, as Django's views let it."""

    model = Photo
    fields = FIELDS

    def get_form(self, form_class=None):
        return super().get_form(PlainForm)


class ChangedForm(PlainForm):
    """A form whose fields are changed after its class is made."""


ChangedForm.base_fields["title"].required = False


class FormWithRequest(PlainForm):
    def __init__(self, *args, **kwargs):
        self.request = kwargs.pop("request")
        super().__init__(*args, **kwargs)


class WithRequestForItsForm(AsyncImageCreateView):
    """Passes the request to its form, as the views of many projects do."""

    model = Photo
    form_class = FormWithRequest

    def get_form_kwargs(self):
        return {**super().get_form_kwargs(), "request": self.request}


class StyledForm(PlainForm):
    """Styles its inputs when Django's part is done, as the forms of many projects do."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for bound_field in self.visible_fields():
            bound_field.field.widget.attrs["class"] = "form-control"


class WithOtherForm(WithFields):
    """Handles another form as well, and shows it again if it is not valid."""

    def post(self, request, *args, **kwargs):
        self.object = None
        return self.render_to_response(self.get_context_data(form=ContactForm(request.POST)))


class SavingFormView(AsyncImageViewMixin, FormView):
    form_class = PlainForm
    success_url = "/done/"

    def form_valid(self, form):
        form.save()
        return super().form_valid(form)


class WithContactForm(AsyncImageCreateView):
    model = Photo
    form_class = ContactForm


class WithContactFormView(AsyncImageViewMixin, FormView):
    form_class = ContactForm


CREATE_VIEWS = {
    "WithFields": WithFields.as_view(),
    "WithPlainForm": AsyncImageCreateView.as_view(model=Photo, form_class=PlainForm),
    "WithMixedForm": AsyncImageCreateView.as_view(model=Photo, form_class=MixedForm),
    "WithFormOnly": AsyncImageCreateView.as_view(form_class=PlainForm),
    "WithQueryset": AsyncImageCreateView.as_view(queryset=Photo.objects.all(), fields=FIELDS),
    "WithAllFields": AsyncImageCreateView.as_view(model=Photo, fields="__all__"),
    "WithFormByRequest": WithFormByRequest.as_view(),
    "WithFormInGetForm": WithFormInGetForm.as_view(),
    "WithViewMixin": WithViewMixin.as_view(),
    "WithStyledForm": AsyncImageCreateView.as_view(model=Photo, form_class=StyledForm),
    "WithRequestForItsForm": WithRequestForItsForm.as_view(),
}
OTHER_VIEWS = {
    "WithPrefix": WithFields.as_view(prefix="photo"),
    "WithLayout": AsyncImageCreateView.as_view(model=Photo, form_class=LaidOutForm),
    "WithTemplate": WithFields.as_view(template_name="named.html"),
    "WithChangedForm": AsyncImageCreateView.as_view(model=Photo, form_class=ChangedForm),
    "WithFormView": SavingFormView.as_view(),
    "WithOtherForm": WithOtherForm.as_view(),
    "WithContactForm": WithContactForm.as_view(),
    "WithContactFormView": WithContactFormView.as_view(),
    "WithDocument": AsyncImageCreateView.as_view(
        form_class=modelform_factory(Document, fields=["title", "file"]), success_url="/done/"
    ),
}
UPDATE_VIEWS = {
    "Update": AsyncImageUpdateView.as_view(model=Photo, fields=FIELDS),
    "UpdateWithFormOnly": AsyncImageUpdateView.as_view(
        queryset=Photo.objects.all(), form_class=PlainForm
    ),
}
MEASURED = AsyncImageUpdateView.as_view(
    model=Measured, fields=["title", "image", "cover"], success_url="/done/"
)

urlpatterns = [
    path("", include("tests.project.urls")),
    *(path(f"{name}/", view) for name, view in {**CREATE_VIEWS, **OTHER_VIEWS}.items()),
    *(path(f"{name}/<int:pk>/", view) for name, view in UPDATE_VIEWS.items()),
    path("measured/<int:pk>/", MEASURED),
]


def picture(data=None, name="dune.jpg"):
    return ContentFile(pictures.jpeg() if data is None else data, name=name)


def page_of(response):
    """Return the text of a page, which must be a good answer."""
    assert response.status_code == 200
    return response.content.decode()


def tag(page, pattern):
    """Return the only tag of a page that matches, without what it is escaped with."""
    [found] = re.findall(f"<(?:{pattern})[^>]*>", page)
    return html.unescape(found)


def a_photo():
    """Return what a client posts."""
    return {"title": "Dune", "image": picture()}


# What a post does


@pytest.mark.parametrize("view", CREATE_VIEWS)
def test_a_post_creates_the_instance_and_stages_the_image(view, client, staging):
    data = pictures.jpeg()

    response = client.post(f"/{view}/", {"title": "Dune", "image": picture(data)})

    photo = Photo.objects.get()
    assert response.status_code == 302
    assert response.url == photo.get_absolute_url()
    assert (photo.title, photo.image.name) == ("Dune", "")
    save_pending_uploads()
    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data


@pytest.mark.parametrize("view", UPDATE_VIEWS)
def test_a_post_changes_the_instance_and_stages_the_image(view, client, staging):
    old, new = pictures.jpeg(), pictures.jpeg()
    photo = Photo.objects.create(title="Old", image=picture(old))

    response = client.post(f"/{view}/{photo.pk}/", {"title": "New", "image": picture(new)})

    assert response.url == photo.get_absolute_url()
    photo.refresh_from_db()
    assert (photo.title, pictures.stored(photo.image)) == ("New", old)
    save_pending_uploads()
    photo.refresh_from_db()
    assert (photo.title, pictures.stored(photo.image)) == ("New", new)


@pytest.mark.parametrize("view", UPDATE_VIEWS)
def test_a_post_without_an_image_leaves_the_old_one(view, client):
    old = pictures.jpeg()
    photo = Photo.objects.create(title="Old", image=picture(old))

    client.post(f"/{view}/{photo.pk}/", {"title": "New"})

    photo.refresh_from_db()
    assert (photo.title, pictures.stored(photo.image)) == ("New", old)
    assert not Upload.objects.exists()


def test_a_view_calls_the_clean_methods_of_its_form(client):
    client.post("/WithPlainForm/", {"title": "dune", "image": picture()})

    assert Photo.objects.get().title == "Dune"


def test_a_prefix_is_the_forms_own(client):
    client.post("/WithPrefix/", {"photo-title": "Dune", "photo-image": picture()})

    assert Upload.objects.for_instance(Photo.objects.get(), "image").count() == 1


def test_a_plain_file_is_saved_in_the_request_unless_the_form_names_it(client):
    client.post("/WithDocument/", {"title": "Deed", "file": picture(b"whereas", "deed.txt")})

    assert pictures.stored(Document.objects.get().file) == b"whereas"
    assert not Upload.objects.exists()


def test_a_post_can_clear_one_image_and_send_another(client):
    measured = Measured.objects.create(title="Old", image=picture(), cover=picture())
    new = pictures.jpeg(80, 40)

    data = {"title": "New", "image-clear": "on", "cover": picture(new)}
    client.post(f"/measured/{measured.pk}/", data)
    save_pending_uploads()

    measured.refresh_from_db()
    assert (measured.image.name, measured.width) == ("", None)
    assert (pictures.stored(measured.cover), measured.cover_width) == (new, 80)


# The form class


def test_a_form_class_with_the_mixin_is_used_as_it_is(client):
    assert type(client.get("/WithMixedForm/").context["form"]) is MixedForm


def test_a_form_class_without_the_mixin_gets_it_and_stays_as_it_was(client, in_memory):
    form = client.get("/WithPlainForm/").context["form"]
    assert isinstance(form, PlainForm)
    assert isinstance(form, AsyncImageFormMixin)

    data = pictures.jpeg()
    photo = PlainForm({"title": "Dune"}, {"image": in_memory(data=data)}).save()
    assert pictures.stored(photo.image) == data


def test_fields_that_are_changed_after_the_form_class_is_made_stay_changed(client):
    response = client.post("/WithChangedForm/", {"title": "", "image": picture()})

    assert response.status_code == 302


def test_a_form_view_has_the_page_and_stages_the_image(client):
    assert 'enctype="multipart/form-data"' in page_of(client.get("/WithFormView/"))

    client.post("/WithFormView/", a_photo())

    assert Upload.objects.for_instance(Photo.objects.get()).count() == 1


@pytest.mark.parametrize("view", ["WithContactForm", "WithContactFormView"])
def test_a_form_that_is_not_a_model_form_is_refused(view, client):
    with pytest.raises(ImproperlyConfigured, match=rf"{view}.*ContactForm.*save_image"):
        client.get(f"/{view}/")


# The page


@pytest.fixture(params=["bootstrap5", None], ids=["a pack", "no pack"])
def pack(request, settings):
    """With a template pack of crispy-forms, and once more in a project that has none."""
    if request.param is None:
        del settings.CRISPY_TEMPLATE_PACK
        settings.INSTALLED_APPS = [
            app for app in settings.INSTALLED_APPS if app != "crispy_bootstrap5"
        ]
    return request.param


def test_the_page_has_a_form_that_can_be_posted(pack, client):
    page = page_of(client.get("/WithFields/"))

    form = tag(page, "form")
    assert 'method="post"' in form
    assert 'enctype="multipart/form-data"' in form
    assert "csrfmiddlewaretoken" in page
    assert 'type="file"' in tag(page, 'input[^>]*name="image"')
    assert 'type="text"' in tag(page, 'input[^>]*name="title"')
    assert re.search(r'<label[^>]*for="id_title"[^>]*>\s*Title', page)
    assert re.search(r'<label[^>]*for="id_image"[^>]*>\s*Image', page)
    assert tag(page, '(?:input|button)[^>]*type="submit"')


def test_the_labels_of_an_image_and_of_another_field_look_alike(pack, client):
    page = page_of(client.get("/WithFields/"))

    labels = re.findall(r'<label[^>]*for="id_(title|image)"[^>]*>(.*?)</label>', page, re.S)
    texts = {name: strip_tags(html).strip() for name, html in labels}
    assert texts == {"title": "Title*", "image": "Image*"}


def test_a_view_accepts_the_form_that_its_page_shows(pack):
    client = Client(enforce_csrf_checks=True)
    page = page_of(client.get("/WithFields/"))
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]

    data = {"csrfmiddlewaretoken": token, "title": "Dune", "image": picture(), "save": "Save"}
    assert client.post("/WithFields/", data).status_code == 302
    assert Photo.objects.get().title == "Dune"


@pytest.mark.parametrize("view", CREATE_VIEWS)
def test_every_view_has_a_page(view, client):
    assert tag(page_of(client.get(f"/{view}/")), 'input[^>]*name="image"')


@pytest.mark.parametrize("view", UPDATE_VIEWS)
def test_the_page_of_an_update_shows_the_current_values(view, pack, client):
    photo = Photo.objects.create(title="<Dune> & more", image=picture())

    page = page_of(client.get(f"/{view}/{photo.pk}/"))

    assert "<Dune>" not in page
    assert 'value="<Dune> & more"' in tag(page, 'input[^>]*name="title"')
    assert photo.image.url in page


def test_the_page_of_an_update_does_not_demand_a_pending_image(pack, client):
    client.post("/WithFields/", a_photo())

    page = page_of(client.get(f"/Update/{Photo.objects.get().pk}/"))

    assert "required" not in tag(page, 'input[^>]*name="image"')


def test_errors_are_shown_on_the_page(pack, client):
    page = page_of(client.post("/WithFields/", {"title": ""}))

    assert page.count("This field is required.") == 2
    assert '<a href="#id_image">Image</a>' in page
    assert '<a href="#id_title">Title</a>' in page
    assert not Photo.objects.exists()
    assert not Upload.objects.exists()


def test_a_title_that_was_sent_is_still_there_when_the_image_is_wrong(pack, client):
    page = page_of(client.post("/WithFields/", {"title": "Dune", "image": picture(b"no image")}))

    assert 'value="Dune"' in tag(page, 'input[^>]*name="title"')
    assert "Upload a valid image." in page
    assert '<a href="#id_title">' not in page


def test_an_error_of_the_whole_form_is_shown_on_the_page(pack, client, monkeypatch):
    def clean(self):
        raise forms.ValidationError("Sand <everywhere>.")

    monkeypatch.setattr(PlainForm, "clean", clean)

    assert "Sand &lt;everywhere&gt;." in page_of(client.post("/WithPlainForm/", a_photo()))


def test_an_update_with_errors_shows_the_old_image(pack, client):
    photo = Photo.objects.create(title="Dune", image=picture())

    page = page_of(client.post(f"/Update/{photo.pk}/", {"title": "", "image": picture()}))

    assert photo.image.url in page
    assert "This field is required." in page


def test_a_form_with_a_helper_is_laid_out_by_it_and_can_be_posted(pack, client):
    page = page_of(client.get("/WithLayout/"))

    assert 'id="the-projects-form"' in tag(page, "form")
    assert 'value="Upload now"' in tag(page, '(?:input|button)[^>]*type="submit"')
    assert page.index('name="image"') < page.index('name="title"')
    client.post("/WithLayout/", a_photo())
    assert Upload.objects.count() == 1


def test_the_page_speaks_the_users_language(client):
    assert 'lang="en-us"' in tag(page_of(client.get("/WithFields/")), "html")


# The project's own templates


@pytest.fixture
def template(settings, tmp_path):
    """Puts a template into the project."""

    def write(name, text):
        file = tmp_path / "templates" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path / "templates"]}]

    return write


@pytest.mark.parametrize("view", CREATE_VIEWS)
def test_the_projects_own_template_wins(view, client, template):
    template("project/photo_form.html", "The project's own: {{ form.title }}")

    assert page_of(client.get(f"/{view}/")).startswith("The project's own: <input")


@pytest.mark.parametrize("view", UPDATE_VIEWS)
def test_the_projects_own_template_wins_for_an_update(view, client, template):
    photo = Photo.objects.create(title="Dune", image=picture())
    template("project/photo_form.html", "The project's own: {{ object }}")

    assert page_of(client.get(f"/{view}/{photo.pk}/")) == "The project's own: Dune"


def test_the_template_that_a_view_names_wins(client, template):
    template("project/photo_form.html", "not this one")
    template("named.html", "this one")

    assert page_of(client.get("/WithTemplate/")) == "this one"


def test_a_template_that_a_view_names_and_that_is_not_there_is_an_error(client):
    with pytest.raises(TemplateDoesNotExist, match=r"named\.html"):
        client.get("/WithTemplate/")


def test_the_page_can_be_extended(client, template):
    template(
        "project/photo_form.html",
        '{% extends "django_async_forms/form.html" %}{% block title %}New photo{% endblock %}',
    )

    page = page_of(client.get("/WithFields/"))

    assert "<title>New photo</title>" in page
    assert tag(page, 'input[^>]*name="image"')


def test_the_page_can_be_replaced(client, template):
    template("django_async_forms/form.html", "{% load async_forms %}Ours: {% async_form form %}")

    page = page_of(client.get("/WithFields/"))

    assert page.startswith("Ours:")
    assert tag(page, 'input[^>]*name="image"')


# Uploads that are none


BROKEN = {
    "no image": b"This is not an image.",
    "half an image": pictures.jpeg(seed=0)[:20],
    "nothing": b"",
}


def errors_of_plain_django(request):
    with closing(request):
        return PlainForm(request.POST, request.FILES).errors


@pytest.mark.parametrize("kind", list(BROKEN))
@pytest.mark.parametrize("memory", [2_500_000, 0], ids=["in memory", "on disk"])
def test_a_broken_upload_is_the_error_that_plain_django_makes_of_it(
    kind, memory, client, rf, settings
):
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = memory

    def data():
        return {"title": "Dune", "image": picture(BROKEN[kind])}

    expected = errors_of_plain_django(rf.post("/", data()))
    response = client.post("/WithFields/", data())

    assert expected["image"]
    assert response.context["form"].errors == expected
    assert not Photo.objects.exists()
    assert not Upload.objects.exists()


def test_a_broken_file_leaves_the_old_image_and_the_pending_upload(client):
    photo = Photo.objects.create(title="Dune", image=picture())
    client.post(f"/Update/{photo.pk}/", a_photo())
    upload = Upload.objects.get()

    client.post(f"/Update/{photo.pk}/", {"title": "Dune", "image": picture(b"no image")})

    assert Upload.objects.get() == upload
    assert Photo.objects.get().image == photo.image


def test_an_image_that_is_not_sent_is_the_error_that_plain_django_makes_of_it(client):
    response = client.post("/WithFields/", {"title": "Dune"})

    assert response.context["form"].errors == PlainForm({"title": "Dune"}).errors


def test_an_extension_that_no_image_has_is_the_error_that_plain_django_makes_of_it(client, rf):
    def data():
        return {"title": "Dune", "image": picture(name="dune.exe")}

    expected = errors_of_plain_django(rf.post("/", data()))
    assert client.post("/WithFields/", data()).context["form"].errors == expected
    assert "exe" in expected["image"][0]


def test_a_form_with_errors_cannot_be_saved(in_memory):
    form_class = modelform_factory(Photo, AsyncImageModelForm, fields=["title", "image"])

    for commit in (True, False):
        with pytest.raises(ValueError, match="could not be created"):
            form_class({}, {"image": in_memory()}).save(commit)


# The heading, the message and the nonce


def test_the_heading_of_the_page_names_the_action_and_the_model(pack, client):
    photo = Photo.objects.create(title="Dune", image=picture())

    assert "<h1>Add photo</h1>" in page_of(client.get("/WithFields/"))
    assert "<h1>Change photo</h1>" in page_of(client.get(f"/Update/{photo.pk}/"))


def test_the_page_may_show_another_form_in_place_of_its_own(client):
    page = page_of(client.post("/WithOtherForm/", {"image": picture()}))

    assert 'name="title"' in page


def messages_of(client, address, data):
    response = client.post(address, data)
    assert response.status_code == 302
    return [str(message) for message in get_messages(response.wsgi_request)]


def test_the_message_says_that_the_image_follows(client):
    data = a_photo()

    assert messages_of(client, "/WithFields/", data) == ["Saved. The image will follow shortly."]


def test_the_message_without_an_image_says_that_it_is_saved(client):
    photo = Photo.objects.create(title="Dune", image=picture())

    assert messages_of(client, f"/Update/{photo.pk}/", {"title": "Reef"}) == ["Saved."]


@pytest.mark.parametrize(
    ("message", "expected"), [(None, []), ("", []), ("%(title)s is here.", ["Dune is here."])]
)
def test_a_view_chooses_its_message(client, monkeypatch, message, expected):
    monkeypatch.setattr(WithFields, "success_message", message)

    assert messages_of(client, "/WithFields/", a_photo()) == expected


@pytest.mark.parametrize("message", ["It is here.", ""])
def test_a_message_that_a_view_makes_itself_is_the_only_one(client, monkeypatch, message):
    monkeypatch.setattr(WithFields, "get_success_message", lambda *args: message)

    assert messages_of(client, "/WithFields/", a_photo()) == [message][: bool(message)]


def test_a_view_whose_form_has_no_mixin_says_that_it_is_saved(client, monkeypatch):
    plain = modelform_factory(Photo, fields=["title", "image"])
    monkeypatch.setattr(WithFields, "get_form_class", lambda view: plain)

    assert messages_of(client, "/WithFields/", a_photo()) == ["Saved."]


@pytest.mark.parametrize("is_first", [True, False])
def test_django_s_own_message_mixin_leaves_the_only_message(rf, client, is_first, monkeypatch):
    bases = (SuccessMessageMixin, WithFields) if is_first else (WithFields, SuccessMessageMixin)
    view = type("WithMixin", bases, {"success_message": "Thank you."})
    request = client.get("/WithFields/").wsgi_request
    request.method, request.FILES["image"] = "POST", picture()
    request.POST = {"title": "Dune"}

    view.as_view()(request)

    assert [str(message) for message in get_messages(request)] == ["Thank you."]


def test_a_form_whose_draft_another_one_claims_meanwhile_is_shown_without_a_message(
    client, connect
):
    # Without a title, the page is shown again, and keeps the image.
    page = page_of(client.post("/WithFields/", {"image": picture()}))
    token = re.search('name="image-draft" value="([^"]+)"', page)[1]
    connect(pre_save, lambda **kwargs: Draft.objects.all().delete(), Photo)

    response = client.post("/WithFields/", {"title": "Dune", "image-draft": token})

    assert "The image that you sent is no longer there." in page_of(response)
    assert list(get_messages(response.wsgi_request)) == []


def test_a_project_without_messages_has_none(client, settings):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "messages" not in name]

    assert client.post("/WithFields/", a_photo()).status_code == 302


def test_the_page_shows_the_messages_that_wait(client):
    client.post("/WithFields/", a_photo())

    assert "Saved. The image will follow shortly." in page_of(client.get("/WithFields/"))


def test_scripts_and_style_sheets_of_the_page_have_its_nonce(pack, client, monkeypatch):
    monkeypatch.setattr(WithFields, "dispatch", with_nonce(WithFields.dispatch))
    monkeypatch.setattr(AsyncImageFormMixin, "image_widget", AsyncImageInput)

    tags = re.findall("<(?:script|link)[^>]*>", page_of(client.get("/WithFields/")))
    assert len(tags) >= 5
    assert all(' nonce="a&amp;b"' in tag for tag in tags)


def test_scripts_of_the_page_have_no_nonce_where_the_page_has_none(pack, client, monkeypatch):
    monkeypatch.setattr(AsyncImageFormMixin, "image_widget", AsyncImageInput)

    assert "nonce" not in page_of(client.get("/WithFields/"))


def with_nonce(dispatch):
    def wrapped(view, request, *args, **kwargs):
        request.csp_nonce = SimpleLazyObject(lambda: "a&b")
        return dispatch(view, request, *args, **kwargs)

    return wrapped
