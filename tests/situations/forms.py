"""The forms of these tests, and functions that read their results."""

from django.db.models import QuerySet

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import both as tests_both
from tests import pictures

both = tests_both.both


class ReplacingForm(AsyncImageModelForm):
    """A form that leaves only replacing images to a worker."""

    async_when = "replacing"


def form_for(base, model, data, files=None, instance=None):
    """Return a valid form with the data and files, and with a field for each of them."""
    form = tests_both.form_for(base, model, data, files, instance)
    assert form.is_valid(), form.errors
    return form


def async_form(model, data, files=None, instance=None):
    return form_for(AsyncImageModelForm, model, data, files, instance)


def saved(base, model, data, files=None, instance=None):
    """Save a form as a view does, and its images as workers do; return the row."""
    instance = form_for(base, model, data, files, instance).save()
    save_pending_uploads()
    return loaded(instance)


def async_saved(model, data, files=None, instance=None):
    return saved(AsyncImageModelForm, model, data, files, instance)


def loaded(instance):
    """Return the instance from the database, even if its managers hide it."""
    return QuerySet(type(instance), using=instance._state.db).get(pk=instance.pk)


def bytes_of(instance, field_name="image"):
    """Return the bytes of an image of a row, or None if it has none."""
    file = getattr(loaded(instance), field_name)
    return pictures.stored(file) if file else None


def uploads_for(instance, field_name=None):
    return Upload.objects.for_instance(instance, field_name)
