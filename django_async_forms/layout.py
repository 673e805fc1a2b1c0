"""Layout objects for django-crispy-forms."""

from __future__ import annotations

from typing import Any

from crispy_forms.layout import Field
from django.forms import BaseForm

from .widgets import AsyncImageInput


# A crispy-forms without type hints has classes of any kind.
class AsyncImage(Field):  # type: ignore[misc]
    """
    An image field with the current image, the pending one, a preview and the progress.

    ::

        class PhotoForm(AsyncImageFormMixin, forms.ModelForm):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.helper = FormHelper()
                self.helper.layout = Layout("title", AsyncImage("photo"), Submit("save", "Save"))

    It sets an ``AsyncImageInput`` as the field's widget, unless the field has one already. The
    template is ``django_async_forms/layout/async_image.html`` in any template pack. Everything else
    is as with crispy's own ``Field``.
    """

    template = "django_async_forms/layout/async_image.html"

    def render(self, form: BaseForm, context: Any, *args: Any, **kwargs: Any) -> str:
        for name in self.fields:
            # crispy-forms itself decides what a field that the form lacks means.
            if name in form.fields:
                AsyncImageInput.install(form, name)
        return str(super().render(form, context, *args, **kwargs))
