"""A form with the mixin: what it saves immediately, what it stages, and what it leaves alone."""

import pytest
from asgiref.sync import async_to_sync
from django import forms
from django.core.exceptions import FieldError
from django.core.files.base import ContentFile
from django.db import connection
from django.forms import modelform_factory
from django.test.utils import CaptureQueriesContext
from django.utils.html import conditional_escape
from django.utils.safestring import mark_safe

from django_async_forms.forms import AsyncImageFormMixin
from django_async_forms.models import Upload
from django_async_forms.status import prefetch_uploads
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from django_async_forms.widgets import AsyncImageInput
from tests import pictures
from tests.both import form_for
from tests.project.models import Document, OnlyImages, Photo

pytestmark = pytest.mark.django_db


class PhotoForm(AsyncImageFormMixin, forms.ModelForm):
    class Meta:
        model = Photo
        fields = ["title", "image"]


def test_saving_saves_the_instance_immediately_and_stages_the_image(in_memory, staging):
    photo = PhotoForm({"title": "Dune"}, {"image": in_memory()}).save()

    assert Photo.objects.get().title == "Dune"
    assert not Photo.objects.get().image
    assert Upload.objects.for_instance(photo).pending().count() == 1


def test_the_image_is_there_once_its_upload_is_attached(in_memory, on_disk, staging):
    for make in (in_memory, on_disk):
        data = pictures.jpeg()
        photo = PhotoForm({"title": "Dune"}, {"image": make(data=data)}).save()

        assert save_pending_uploads() == 1
        photo = Photo.objects.get(pk=photo.pk)
        assert photo.image.name.startswith("photos/dune")
        assert pictures.stored(photo.image) == data
        assert not Upload.objects.exists()


def test_a_form_does_not_ask_again_for_a_pending_image(in_memory):
    photo = PhotoForm({"title": "Dune"}, {"image": in_memory()}).save()

    form = PhotoForm({"title": "Arrakis"}, instance=Photo.objects.get())

    assert form.is_valid()
    assert "required" not in str(form["image"])
    form.save()
    save_pending_uploads()
    photo.refresh_from_db()
    assert (photo.title, bool(photo.image)) == ("Arrakis", True)


def test_a_form_asks_for_an_image_that_is_not_pending():
    form = PhotoForm({"title": "Arrakis"}, instance=Photo.objects.create(title="Dune"))

    assert form.errors["image"] == ["This field is required."]


def test_a_new_image_is_validated_by_its_model_field_and_one_that_stays_is_not(in_memory):
    photo = Photo.objects.create(title="Dune", image="photos/dune.jpg")
    refused = []

    def refuse(file):
        refused.append(file.name)
        raise forms.ValidationError("Not this one.")

    field = Photo._meta.get_field("image")
    field.validators.append(refuse)
    try:
        assert PhotoForm({"title": "Arrakis"}, instance=photo).is_valid()
        form = PhotoForm({"title": "Arrakis"}, {"image": in_memory("new.jpg")}, instance=photo)
        assert form.errors == {"image": ["Not this one."]}
    finally:
        field.validators.remove(refuse)
    assert set(refused) == {"new.jpg"}


# A field with Django's own widget

PENDING = "The image is being saved. You do not have to send it again."


@pytest.fixture
def pending(in_memory):
    """A photo whose image is pending."""
    photo = Photo.objects.create(title="Dune")
    save_image(in_memory(), photo)
    return photo


def test_a_field_without_the_input_says_that_its_image_is_pending(pending):
    assert PENDING in PhotoForm(instance=pending).as_div()


def test_a_field_without_the_input_says_that_its_image_has_failed(pending):
    Upload.objects.update(state="failed")

    assert "The image could not be saved. Your file is kept." in PhotoForm(instance=pending).as_p()


def test_a_field_with_the_input_does_not_say_that_its_image_is_pending(pending):
    class WithInput(PhotoForm):
        image_widget = AsyncImageInput

    assert PENDING not in WithInput(instance=pending).as_div()


def test_a_field_of_a_plain_file_says_that_it_is_pending(in_memory):
    class DocumentForm(AsyncImageFormMixin, forms.ModelForm):
        async_fields = ["file"]

        class Meta:
            model = Document
            fields = ["file"]

    document = DocumentForm({}, {"file": in_memory()}).save()

    assert "The file is being saved." in DocumentForm(instance=document).as_div()


def test_a_formset_says_under_each_form_that_its_image_is_pending(pending):
    assert forms.modelformset_factory(Photo, form=PhotoForm, extra=1)().as_div().count(PENDING) == 1


@pytest.mark.parametrize(
    ("help_text", "shown"),
    [("A <b>wide</b> one.", "A &lt;b&gt;"), (mark_safe("A <b>wide</b> one."), "A <b>")],
)
def test_the_state_follows_the_field_s_own_help_text_and_leaves_it_as_safe_as_it_was(
    pending, help_text, shown
):
    form = PhotoForm(instance=pending)
    form.fields["image"].help_text = help_text

    assert f"{help_text} {PENDING}" in form.as_div()
    assert str(form["image"].help_text).startswith("A <b>wide</b> one. The image")
    assert conditional_escape(form["image"].help_text).startswith(shown)


def test_validating_a_form_looks_for_no_upload(in_memory):
    photo = Photo.objects.create(title="Dune", image="old.jpg")
    with CaptureQueriesContext(connection) as queries:
        assert PhotoForm({"title": "Reef"}, instance=photo).is_valid()
    assert len(queries) == 0


def test_showing_a_form_looks_once_for_the_upload_of_a_field_and_never_after_prefetching(pending):
    with CaptureQueriesContext(connection) as queries:
        form = PhotoForm(instance=pending)
        before = len(queries)
        form.as_div()
        form.as_p()
        assert len(queries) - before == 1

    prefetch_uploads([pending], "image")
    form = PhotoForm(instance=pending)
    with CaptureQueriesContext(connection) as queries:
        assert PENDING in form.as_div()
    assert len(queries) == 0


# Clear


class PairForm(AsyncImageFormMixin, forms.ModelForm):
    image_widget = AsyncImageInput

    class Meta:
        model = OnlyImages
        fields = ["front"]


class RequiredForm(PhotoForm):
    image_widget = AsyncImageInput


def test_clear_is_offered_for_a_pending_image_of_an_optional_field(in_memory):
    images = OnlyImages.objects.create()
    save_image(in_memory(), images, "front")

    assert "front-clear" in str(PairForm(instance=images)["front"])


def test_clear_is_neither_offered_nor_taken_for_a_pending_image_that_is_required(pending):
    assert "image-clear" not in str(RequiredForm(instance=pending)["image"])

    RequiredForm({"title": "Reef", "image-clear": "on"}, instance=pending).save()

    assert Upload.objects.pending().count() == 1


def test_clear_is_not_offered_for_a_field_that_is_disabled():
    form = PairForm(instance=OnlyImages.objects.create(front="front.jpg"))
    form.fields["front"].disabled = True

    assert "front-clear" not in str(form["front"])


def test_clear_is_not_offered_for_a_pending_image_where_a_worker_does_not_save_the_field(in_memory):
    class OtherForm(PairForm):
        async_fields = []

    images = OnlyImages.objects.create()
    save_image(in_memory(), images, "front")
    form = OtherForm(instance=images)
    AsyncImageInput.install(form, "front")

    assert "front-clear" not in str(form["front"])


def test_an_image_whose_storage_has_no_address_can_be_cleared(monkeypatch):
    def refuse(storage, name):
        raise NotImplementedError

    images = OnlyImages.objects.create(front="front.jpg")
    form = PairForm(instance=images)
    assert "front-clear" in str(form["front"])
    monkeypatch.setattr("django.core.files.storage.FileSystemStorage.url", refuse)

    assert form["front"].field.widget.is_initial(images.front)


class PoppingForm(forms.ModelForm):
    """Takes the request out of its arguments, as the forms of many projects do."""

    def __init__(self, *args, **kwargs):
        self.request = kwargs.pop("request")
        super().__init__(*args, **kwargs)


class NamingForm(forms.ModelForm):
    def __init__(self, *args, request, **kwargs):
        self.request = request
        super().__init__(*args, **kwargs)


class PassingForm(forms.ModelForm):
    """Takes any arguments, and passes them on to Django's form, which refuses a request."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)


class OwnRequestForm(forms.ModelForm):
    """Takes no request, and calls something else by that name."""

    def __init__(self, *args, **kwargs):
        request = kwargs.pop("http_request", None)
        super().__init__(*args, **kwargs)
        self.http_request = request


def mixed_with(base):
    return modelform_factory(
        Photo, type("MixedForm", (AsyncImageFormMixin, base), {}), fields=["title", "image"]
    )


@pytest.mark.parametrize("base", [PoppingForm, NamingForm])
def test_a_form_that_takes_the_request_itself_gets_it(base, rf):
    request = rf.get("/")

    assert mixed_with(base)(request=request).request is request


@pytest.mark.parametrize("base", [PassingForm, OwnRequestForm])
def test_a_form_that_does_not_take_the_request_gets_none(base, rf):
    request = rf.get("/")

    assert mixed_with(base)(request=request).request_of_sender is request


class StyledForm(forms.ModelForm):
    """Styles its inputs when Django's part is done, as the forms of many projects do."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for bound_field in self.visible_fields():
            bound_field.field.widget.attrs["class"] = "form-control"


class ImpatientForm(forms.ModelForm):
    """Validates itself when Django's part is done."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.is_valid()


def test_a_form_that_styles_its_inputs_keeps_the_style():
    assert str(mixed_with(StyledForm)()).count('class="form-control"') == 2


@pytest.mark.parametrize("base", [StyledForm, ImpatientForm])
def test_a_form_that_is_used_while_it_is_made_stages_its_image(base, old, in_memory):
    mixed_with(base)({"title": "New"}, {"image": in_memory()}, instance=old).save()

    assert Photo.objects.get().image.name == "photos/old.jpg"
    assert Upload.objects.for_instance(old).pending().count() == 1


def test_a_form_that_validates_itself_while_it_is_made_is_limited(settings, in_memory):
    settings.ASYNC_FORMS = {"MAX_PIXELS": 100}

    form = mixed_with(ImpatientForm)({"title": "Dune"}, {"image": in_memory()})

    assert form.errors.as_data()["image"][0].code == "too_many_pixels"


class AuthoredForm(forms.ModelForm):
    """Has more arguments in its ``save()``, as the forms of many projects do."""

    def save(self, author, commit=True):
        self.instance.title += f" by {author}"
        return super().save(commit)


@pytest.mark.parametrize(
    "save",
    [
        lambda form: form.save("Paul"),
        lambda form: form.save(author="Paul"),
        lambda form: async_to_sync(form.asave)(author="Paul"),
    ],
    ids=["positional", "keyword", "asave"],
)
def test_a_form_whose_save_has_other_arguments_gets_them(save, in_memory):
    form = mixed_with(AuthoredForm)({"title": "Dune"}, {"image": in_memory()})

    photo = save(form)

    assert photo.title == "Dune by Paul"
    assert Upload.objects.for_instance(photo).pending().count() == 1


class ReplacingForm(PhotoForm):
    """Replaces the form field, and demands every field, when Django's part is done."""

    image_widget = AsyncImageInput

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["image"] = forms.ImageField(label="Picture")
        for field in self.fields.values():
            field.required = True


def test_a_field_that_init_has_replaced_is_limited(settings, in_memory):
    settings.ASYNC_FORMS = {"MAX_PIXELS": 100}

    form = ReplacingForm({"title": "Dune"}, {"image": in_memory()})

    assert form.errors.as_data()["image"][0].code == "too_many_pixels"


def test_a_field_that_init_has_replaced_does_not_ask_again_for_a_pending_image(in_memory):
    ReplacingForm({"title": "Dune"}, {"image": in_memory()}).save()

    form = ReplacingForm({"title": "Arrakis"}, instance=Photo.objects.get())

    assert form.is_valid(), form.errors


def test_a_field_that_init_has_replaced_has_the_widget_with_its_scripts():
    form = ReplacingForm()

    assert "async-image-input.js" in str(form.media)
    assert "<async-image-input" in str(form)


def test_a_field_that_init_has_replaced_keeps_its_image(rf, in_memory):
    request = rf.post("/")
    request.session = {}

    form = ReplacingForm({"title": ""}, {"image": in_memory()}, request=request)

    assert 'name="image-draft"' in str(form)


def test_a_form_without_data_returns_its_instance_with_commit_false():
    photo = PhotoForm(instance=Photo(title="Dune")).save(commit=False)
    photo.save()

    assert Photo.objects.get().title == "Dune"


class ChosenImageForm(AsyncImageFormMixin, forms.ModelForm):
    """Shows the image, which it leaves to its own code."""

    image = forms.ImageField(required=False)

    class Meta:
        model = Photo
        fields = ["title"]

    def clean(self):
        self.instance.image = "photos/chosen.jpg"
        return super().clean()


def test_an_image_that_the_code_of_a_form_sets_stays_where_django_assigns_none():
    photo = Photo.objects.create(title="Dune", image="photos/dune.jpg")
    ChosenImageForm({"title": "x"}, initial={"image": photo.image}, instance=photo).save()

    assert Photo.objects.get().image.name == "photos/chosen.jpg"


class ChoosingForm(PhotoForm):
    """Changes the photo that has its title already, as a form of an import does."""

    def clean(self):
        self.instance = Photo.objects.get(title=self.cleaned_data["title"])
        return super().clean()


def test_an_instance_that_clean_has_chosen_keeps_its_image_until_the_new_one_is_attached(
    old, in_memory
):
    ChoosingForm({"title": old.title}, {"image": in_memory()}).save()

    assert Photo.objects.get().image.name == "photos/old.jpg"
    save_pending_uploads()
    assert Photo.objects.get().image.name == "photos/dune.jpg"


def test_an_instance_that_clean_has_chosen_keeps_its_pending_image(old, in_memory):
    upload = save_image(in_memory(), old)
    form = ChoosingForm({"title": old.title})
    form.fields["image"].required = False
    form.save()

    assert list(Upload.objects.all()) == [upload]


class ImportingForm(AsyncImageFormMixin, forms.ModelForm):
    """Asks for the address of an image, and leaves it to its own code."""

    image = forms.CharField(required=False)

    class Meta:
        model = Photo
        fields = ["title"]


def test_an_empty_value_that_django_does_not_assign_leaves_the_pending_image(new_upload):
    upload = new_upload()
    ImportingForm({"title": "x", "image": ""}, instance=upload.get_instance()).save()

    assert list(Upload.objects.all()) == [upload]


def test_a_value_that_comes_after_validation_leaves_the_pending_image(new_upload):
    upload = new_upload()
    form = PhotoForm({"title": "x"}, instance=upload.get_instance())
    assert form.is_valid()
    form.cleaned_data["image"] = False
    form.save()

    assert list(Upload.objects.all()) == [upload]


def test_a_file_without_a_name_is_an_error_as_in_plain_django(base, photo, in_memory):
    form = form_for(base, Photo, {"title": "Dune"}, {"image": in_memory()}, photo)
    changed = form.save(commit=False)
    changed.image = ContentFile(b"")

    with pytest.raises(FieldError, match="name"):
        changed.save()
