"""Models with full_clean() in save(), and with an image that must not be empty."""

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.forms import modelform_factory

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from tests import pictures
from tests.project.models import Photo
from tests.situations.forms import (
    ReplacingForm,
    async_form,
    both,
    bytes_of,
    form_for,
    formset_for,
    loaded,
    saved,
    uploads_for,
)
from tests.situations.models import (
    Constrained,
    Demanding,
    HiddenValidated,
    Numbered,
    Validated,
    ValidatedChild,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def entry(in_memory):
    """An instance whose image is pending."""
    return async_form(Validated, {"title": "Dune"}, {"image": in_memory()}).save()


def sizes(instance):
    instance = loaded(instance)
    return instance.width, instance.height


@both
def test_a_model_that_validates_itself_is_created_with_its_image(base, in_memory, staging):
    data = pictures.jpeg(30, 20)
    entry = saved(base, Validated, {"title": "Dune"}, {"image": in_memory(data=data)})

    assert bytes_of(entry) == data
    assert sizes(entry) == (30, 20)


@both
def test_a_model_that_validates_itself_is_updated_while_its_image_is_pending(base, image):
    entry = form_for(base, Validated, {"title": "Dune"}, {"image": image}).save()

    saved(base, Validated, {"title": "New"}, instance=loaded(entry))

    assert (loaded(entry).title, bytes_of(entry)) == ("New", image.data)


@both
def test_a_form_with_the_image_may_leave_it_empty_while_it_is_pending(base, image):
    entry = form_for(base, Validated, {"title": "Dune"}, {"image": image}).save()

    saved(base, Validated, {"title": "New"}, {}, loaded(entry), ["title", "image"])

    assert (loaded(entry).title, bytes_of(entry)) == ("New", image.data)


def unsaved_form(base, data, entry):
    """Return a form for a loaded instance that need not be valid."""
    return modelform_factory(Constrained, base, fields=["title", "image"])(
        data, instance=loaded(entry)
    )


@both
@pytest.mark.parametrize("title", ["Taken", "Other"])
def test_a_form_refuses_a_title_that_a_constraint_refuses_with_the_image_that_stays(base, title):
    Constrained.objects.create(title="Other", image="old.jpg")
    entry = Constrained.objects.create(title="Dune", image="old.jpg")

    form = unsaved_form(base, {"title": title}, entry)

    assert not form.is_valid()


@both
def test_a_form_that_does_not_ask_for_an_image_refuses_what_a_constraint_refuses_with_it(base):
    Numbered.objects.create(number=1, image="old.jpg")
    entry = Numbered.objects.create(number=2, image="old.jpg")
    form = modelform_factory(Numbered, base, fields=["number", "image"])(
        {"number": 1}, instance=loaded(entry)
    )
    form.fields["image"].required = False

    assert not form.is_valid()


@both
def test_an_image_that_stays_and_that_the_model_refuses_is_not_in_the_cleaned_data(base):
    entry = Constrained.objects.create(title="Dune", image="old.jpg")

    form = unsaved_form(base, {"title": "Refused"}, entry)

    assert "image" in form.errors
    assert "image" not in form.cleaned_data


def test_a_model_that_validates_itself_gets_another_image_while_one_is_pending(entry, in_memory):
    newer = pictures.jpeg(50, 40)
    async_form(Validated, {"title": "New"}, {"image": in_memory(data=newer)}, loaded(entry)).save()

    assert uploads_for(entry).count() == 1
    save_pending_uploads()
    assert bytes_of(entry) == newer
    assert sizes(entry) == (50, 40)


def test_a_model_that_validates_itself_is_valid_if_its_image_is_attached_during_a_form(entry):
    form = async_form(Validated, {"title": "New"}, {}, loaded(entry))
    save_pending_uploads()
    form.save()

    assert loaded(entry).title == "New"
    assert loaded(entry).image


@pytest.mark.parametrize("load", [lambda entry: entry, loaded], ids=["held", "loaded"])
def test_a_model_that_validates_itself_can_be_saved_again_while_its_image_is_pending(load, entry):
    entry = load(entry)
    entry.title = "Again"
    entry.save()

    assert loaded(entry).title == "Again"
    save_pending_uploads()
    assert loaded(entry).image


def test_a_model_that_validates_itself_is_valid_while_its_image_has_failed(entry):
    (upload,) = uploads_for(entry)
    upload.fail("The storage is full.")

    loaded(entry).full_clean()


def test_a_model_that_validates_itself_is_valid_in_commit_false_and_after_it(image):
    form = async_form(Validated, {"title": "Dune"}, {"image": image})
    entry = form.save(commit=False)
    entry.full_clean()
    entry.save()
    entry.full_clean()

    save_pending_uploads()
    assert loaded(entry).image


def test_a_model_that_validates_itself_is_saved_twice_before_any_commit(image):
    entry = async_form(Validated, {"title": "Dune"}, {"image": image}).save(commit=False)
    entry.save()
    entry.save()

    assert uploads_for(entry).count() == 1


def test_a_formset_creates_models_that_validate_themselves(in_memory):
    images = [pictures.jpeg(), pictures.jpeg()]
    rows = [{"title": "a", "image": in_memory(data=data)} for data in images]

    entries = formset_for(AsyncImageModelForm, Validated, *rows).save()
    save_pending_uploads()

    assert [bytes_of(entry) for entry in entries] == images


def test_a_formset_updates_models_that_validate_themselves_while_images_are_pending(entry):
    formset_for(AsyncImageModelForm, Validated, {"id": entry.pk, "title": "New"}).save()
    save_pending_uploads()

    assert loaded(entry).title == "New"
    assert loaded(entry).image


def test_images_of_a_child_and_its_parent_may_be_pending_both(in_memory):
    data, cover = pictures.jpeg(), pictures.jpeg()
    files = {"image": in_memory(data=data), "cover": in_memory(data=cover)}
    child = async_form(ValidatedChild, {"title": "Dune"}, files).save()
    loaded(child).save()
    child.save()

    save_pending_uploads()

    assert (bytes_of(child), bytes_of(child, "cover")) == (data, cover)


def test_a_parent_is_valid_while_its_childs_form_has_its_image_pending(in_memory):
    files = {"image": in_memory(), "cover": in_memory()}
    child = async_form(ValidatedChild, {"title": "Dune"}, files).save()

    Validated.objects.get(pk=child.pk).full_clean()


def test_an_image_of_save_image_for_a_model_that_validates_itself_is_attached(in_memory):
    old, new = pictures.jpeg(), pictures.jpeg()
    entry = Validated.objects.create(title="Dune", image=ContentFile(old, "old.jpg"))
    save_image(in_memory(data=new), entry)

    loaded(entry).save()
    save_pending_uploads()

    assert bytes_of(entry) == new


def test_a_hidden_row_is_valid_while_its_image_is_pending(image):
    hidden = async_form(HiddenValidated, {"title": "hidden"}, {"cover": image}).save()
    loaded(hidden).full_clean()

    save_pending_uploads()

    assert bytes_of(hidden, "cover") == image.data


def test_an_image_that_is_saved_in_the_request_is_validated_with_its_model(image):
    entry = form_for(ReplacingForm, Validated, {"title": "Dune"}, {"image": image}).save()

    assert bytes_of(entry) == image.data


# Invalid models still raise


@both
def test_a_model_that_is_saved_without_its_image_raises(base):
    with pytest.raises(ValidationError) as refused:
        form_for(base, Validated, {"title": "Dune"}).save()

    assert set(refused.value.message_dict) == {"image"}


def test_a_model_whose_pending_image_was_discarded_raises(entry):
    uploads_for(entry).discard()

    with pytest.raises(ValidationError) as refused:
        loaded(entry).save()
    assert "image" in refused.value.message_dict


def test_a_model_whose_image_was_emptied_raises(image):
    entry = Validated.objects.create(title="Dune", image=image)
    entry.image = ""

    with pytest.raises(ValidationError) as refused:
        entry.save()
    assert "image" in refused.value.message_dict


def test_a_pending_image_does_not_excuse_another_field(image):
    child = async_form(ValidatedChild, {"title": "Dune"}, {"image": image})

    with pytest.raises(ValidationError) as refused:
        child.save()
    assert set(refused.value.message_dict) == {"cover"}
    assert not Upload.objects.exists()


def test_a_pending_image_does_not_excuse_another_instance(entry):
    with pytest.raises(ValidationError):
        Validated(title="Other").save()
    with pytest.raises(ValidationError):
        Validated(pk=entry.pk + 1, title="Other").save()


def test_another_column_is_validated_while_the_image_is_pending(entry):
    entry.title = ""

    with pytest.raises(ValidationError) as refused:
        entry.save()
    assert set(refused.value.message_dict) == {"title"}


@both
def test_a_model_that_refuses_itself_saves_nothing(base, image):
    form = form_for(base, Demanding, {"title": "x"}, {"image": image})
    form.instance.title = "refused"

    with pytest.raises(ValidationError, match="refused"):
        form.save()

    assert not Demanding.objects.exists()
    assert not Upload.objects.exists()


def test_a_model_that_refused_itself_can_be_saved_once_it_is_right(image):
    form = form_for(AsyncImageModelForm, Demanding, {"title": "x"}, {"image": image})
    entry = form.save(commit=False)
    entry.title = "refused"
    with pytest.raises(ValidationError):
        entry.save()

    entry.title = "right"
    entry.save()
    save_pending_uploads()

    assert bytes_of(entry) == image.data


def test_a_model_that_refuses_itself_in_the_worker_keeps_its_upload(image):
    demanding = async_form(Demanding, {"title": "x"}, {"image": image}).save()
    Demanding.objects.update(title="refused")

    with pytest.raises(ValidationError, match="refused"):
        save_pending_uploads()
    assert uploads_for(demanding).count() == 1

    Demanding.objects.update(title="right")
    save_pending_uploads()
    assert loaded(demanding).image


def test_validating_a_model_with_an_image_does_not_query_the_outbox(
    image, django_assert_num_queries
):
    photo = Photo.objects.create(title="Dune", image=image)

    with django_assert_num_queries(0):
        photo.clean_fields()
