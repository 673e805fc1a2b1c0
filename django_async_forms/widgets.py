"""A file input that shows the current image, a preview of the chosen one, and the progress."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Model
from django.forms.widgets import Script
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from .conf import conf
from .limits import content_types
from .status import upload_for

#: The widgets that Django gives a file field by itself; any other is a project's choice. By name,
#: because importing the admin's would import the admin.
_OF_DJANGO = {
    "django.forms.widgets.ClearableFileInput",
    "django.contrib.admin.widgets.AdminFileWidget",
}


class AsyncImageInput(forms.ClearableFileInput):
    """
    The widget for an image that a worker saves; a form with the mixin tells it the instance.

    ::

        class PhotoForm(AsyncImageFormMixin, forms.ModelForm):
            image_widget = AsyncImageInput

    Without JavaScript it is a file input with the current image above it. The page must have
    ``{{ form.media }}``, as crispy-forms has by itself.
    """

    template_name = "django_async_forms/widgets/image_input.html"

    #: The instance and the field of the image, set by the form.
    instance: Model | None = None
    field_name = ""

    class Media:
        css = {"all": ["django_async_forms/async-image.css"]}
        js = [
            Script("django_async_forms/async-image.js", type="module"),
            Script("django_async_forms/async-image-input.js", type="module"),
        ]

    @classmethod
    def install(cls, form: forms.BaseForm, name: str) -> None:
        """
        Install this widget on a form field and set its image.

        It replaces Django's own widgets only: the field keeps one of the project's.
        """
        field = form.fields[name]
        if not isinstance(field.widget, AsyncImageInput):
            current = type(field.widget)
            if f"{current.__module__}.{current.__qualname__}" not in _OF_DJANGO:
                return
            widget = cls(field.widget.attrs)
            widget.is_required = field.widget.is_required
            widget.is_localized = field.widget.is_localized
            field.widget = widget
        field.widget.instance = getattr(form, "instance", None)
        field.widget.field_name = name

    def has_upload(self) -> bool:
        """Tell whether the field has an upload, which can be cleared like an image."""
        if self.instance is None or self.instance.pk is None:
            return False
        return upload_for(self.instance, self.field_name) is not None

    def build_attrs(self, base_attrs: Any, extra_attrs: Any = None) -> dict[str, Any]:
        attrs: dict[str, Any] = super().build_attrs(base_attrs, extra_attrs)
        if attrs.get("accept", "image/*") == "image/*":  # Which Django writes there.
            attrs["accept"] = ",".join(content_types())
        return attrs

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        most = conf().MAX_BYTES
        context["widget"].update(
            instance=self.instance,
            field_name=self.field_name,
            is_clearable=not self.is_required
            and (context["widget"]["is_initial"] or self.has_upload()),
            max_bytes=most,
            too_large=_("This file is too large; the limit is %(limit)s.")
            % {"limit": filesizeformat(most or 0)},
            wrong_type=_("Files of this type are not allowed."),
        )
        return context
