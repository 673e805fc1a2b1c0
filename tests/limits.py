"""Forms with an upload, and the reasons why the limits refuse it."""

from django.core.files.uploadedfile import SimpleUploadedFile
from django.forms import modelform_factory

from django_async_forms.forms import AsyncImageModelForm
from tests.project.models import Photo

PhotoForm = modelform_factory(Photo, form=AsyncImageModelForm, fields=["title", "image"])


def upload(data, name="dune.jpg", content_type="image/jpeg"):
    return SimpleUploadedFile(name, data, content_type)


def form_with(data, form_class=PhotoForm, **file):
    return form_class({"title": "Dune"}, {"image": upload(data, **file)})


def codes(form, field="image"):
    """Return the reason why a form refuses a field, and check that it refuses nothing else."""
    form.is_valid()
    assert set(form.errors) <= {field}
    return [error.code for error in form.errors.as_data().get(field, [])]
