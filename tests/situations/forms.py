"""The forms of these tests, and functions that read their results."""

from django.db.models import QuerySet
from django.forms import modelformset_factory

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import both as tests_both
from tests import pictures

both = tests_both.both


class ReplacingForm(AsyncImageModelForm):
    """A form that leaves only replacing images to a worker."""

    async_when = "replacing"


def form_for(base, model, data, files=None, instance=None, fields=None):
    """Return a valid form with the data and files, and with a field for each of them."""
    form = tests_both.form_for(base, model, data, files, instance, fields)
    assert form.is_valid(), form.errors
    return form


def async_form(model, *args, **kwargs):
    return form_for(AsyncImageModelForm, model, *args, **kwargs)


def form_rows(*rows):
    """Return what a browser posts for a formset; rows with an ``id`` are there already."""
    values = {"form-TOTAL_FORMS": len(rows), "form-INITIAL_FORMS": sum("id" in row for row in rows)}
    for number, row in enumerate(rows):
        values.update({f"form-{number}-{name}": value for name, value in row.items()})
    return values


def formset_for(base, model, *rows):
    """Return a valid formset for titles and images."""
    values = form_rows(*rows)
    formset = modelformset_factory(model, base, fields=["title", "image"])(values, values)
    assert formset.is_valid(), formset.errors
    return formset


def saved(base, model, *args, **kwargs):
    """Save a form as a view does, and its images as workers do; return the row."""
    instance = form_for(base, model, *args, **kwargs).save()
    save_pending_uploads()
    return loaded(instance)


def async_saved(model, *args, **kwargs):
    return saved(AsyncImageModelForm, model, *args, **kwargs)


def loaded(instance):
    """Return the instance from the database, even if its managers hide it."""
    return QuerySet(type(instance), using=instance._state.db).get(pk=instance.pk)


def bytes_of(instance, field_name="image"):
    """Return the bytes of an image of a row, or None if it has none."""
    file = getattr(loaded(instance), field_name)
    return pictures.stored(file) if file else None


def uploads_for(instance, field_name=None):
    return Upload.objects.for_instance(instance, field_name)
