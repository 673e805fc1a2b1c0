"""A file input that shows the current image, the chosen one, and how far it is sent."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.db.models import Model
from django.forms.widgets import Script
from django.template.defaultfilters import filesizeformat
from django.utils.formats import get_format, number_format
from django.utils.safestring import SafeString
from django.utils.text import get_text_list
from django.utils.translation import gettext as _

from .conf import conf
from .draft_form import FieldDrafts
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
    #: Whether the form that is cleared discards the pending upload; set by the form.
    clears_upload = False
    #: The drafts of the field, set by a form with the mixin.
    drafts: FieldDrafts | None = None
    #: The error of a file that is not an image; empty where the field takes other files.
    invalid_image = forms.ImageField.default_error_messages["invalid_image"]
    #: The error of a file without bytes; empty where the field takes it.
    empty_file = forms.FileField.default_error_messages["empty"]

    class Media:
        css = {
            "all": [
                "django_async_forms/async-image.css",
                "django_async_forms/async-image-input.css",
            ]
        }
        js = [
            Script("django_async_forms/async-image.js", type="module"),
            Script("django_async_forms/async-form-sending.js", type="module"),
            Script("django_async_forms/async-image-draft.js", type="module"),
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
        field.widget.invalid_image = field.error_messages.get("invalid_image", "")
        takes_empty = getattr(field, "allow_empty_file", False)
        field.widget.empty_file = "" if takes_empty else field.error_messages.get("empty", "")
        get_async_fields = getattr(form, "get_async_fields", None)
        if get_async_fields is not None:
            field.widget.clears_upload = name in {field.name for field in get_async_fields()}

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        value: Any = super().value_from_datadict(data, files, name)
        token = data.get(draft_name(name))
        if value is None and token and self.drafts is not None:
            return self.drafts.find(token)
        return value

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return draft_name(name) not in data and super().value_omitted_from_data(data, files, name)

    def is_initial(self, value: Any) -> bool:
        # Django asks for the URL, which the storage of a private image may refuse.
        return bool(value) and hasattr(type(value), "url")

    def has_upload(self) -> bool:
        """Tell whether the field has an upload, which can be cleared like an image."""
        if self.instance is None or not self.is_saved():
            return False
        return upload_for(self.instance, self.field_name) is not None

    def is_saved(self) -> bool:
        """Tell whether the instance has a row. A new one may have a key already."""
        instance = self.instance
        return instance is not None and not instance._state.adding and instance.pk is not None

    def is_clearable(self, context: dict[str, Any]) -> bool:
        """Tell whether the form accepts that its image is cleared."""
        if self.is_required or context["attrs"].get("disabled"):
            return False
        return context["is_initial"] or (self.clears_upload and self.has_upload())

    def build_attrs(self, base_attrs: Any, extra_attrs: Any = None) -> dict[str, Any]:
        attrs: dict[str, Any] = super().build_attrs(base_attrs, extra_attrs)
        if attrs.get("accept") == "image/*":  # Which Django writes there for an image field.
            attrs["accept"] = ",".join(content_types())
        return attrs

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Render the input, with the draft of a form that is shown again."""
        context = self.get_context(name, value, attrs)
        # Not in get_context(): template packs call it to write an input of their own.
        if self.drafts is not None:
            widget = context["widget"]
            widget.update(self.drafts.context(), draft_name=draft_name(name))
            if widget["draft"]:
                # An empty input would stop the form. The script restores it without the draft.
                widget["needs_file"] = widget["attrs"].pop("required", False)
            # With it, {% async_image %} shows a pending image to the person who sent it.
            context["request"] = self.drafts.request
        html: SafeString = self._render(  # type: ignore[attr-defined]
            self.template_name, context, renderer
        )
        return html

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        widget = context["widget"]
        widget.update(
            instance=self.instance,
            is_saved=self.is_saved(),
            field_name=self.field_name,
            is_clearable=self.is_clearable(widget),
            invalid=self.invalid_image,
            empty=self.empty_file,
            wrong_type=_wrong_type(widget["attrs"].get("accept", "")),
            max_bytes=conf().MAX_BYTES,
            **_too_large(conf().MAX_BYTES or 0),
        )
        return context


def draft_name(name: str) -> str:
    """Return the name of the hidden input with the token of an input's draft."""
    return f"{name}-draft"


def _too_large(limit: int) -> dict[str, Any]:
    """Return the server's error, and how to write sizes: in the unit of the limit, and in any."""
    unit = 1024
    while unit < 1024**3 and unit * 1024 <= limit:
        unit *= 1024
    size, *sizes = (
        filesizeformat(each).replace(number_format(1, 1), "{}")
        for each in (unit, 1024, 1024**2, 1024**3)
    )
    return {
        "unit": unit,
        "sizes": "|".join(sizes),
        "point": get_format("DECIMAL_SEPARATOR"),
        "too_large": _("This file is %(size)s; the limit is %(limit)s.")
        % {"size": size, "limit": filesizeformat(limit)},
    }


def _wrong_type(accept: str) -> str:
    """Return the error for a file that ``accept`` does not allow, with the types that it does."""
    types = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    if "image/*" in types:
        return _("Files of the type %(type)s are not allowed. Choose an image.") % {"type": "{}"}
    names = [_type_name(part) for part in types if part]
    return _("Files of the type %(type)s are not allowed. Choose one of these: %(types)s.") % {
        "type": "{}",
        "types": get_text_list(list(dict.fromkeys(names))),
    }


def _type_name(part: str) -> str:
    """Return what people call a type: JPEG for "image/jpeg", PDF for ".pdf"."""
    name = re.split(r"[/.]", part)[-1].partition("+")[0].removeprefix("x-").upper()
    return {"JPG": "JPEG", "TIF": "TIFF", "WEBP": "WebP"}.get(name, name)
