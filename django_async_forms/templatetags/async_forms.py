"""The template tags of the package: ``{% load async_forms %}``."""

from __future__ import annotations

from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Submit
from crispy_forms.templatetags.crispy_forms_tags import CrispyFormNode
from django import template
from django.conf import settings
from django.db.models import Model
from django.forms import BaseForm
from django.template.context import Context
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from ..fields import file_field
from ..models import Upload
from ..status import stored_image, token_for, upload_for

register = template.Library()

#: A template pack of the package's own, because crispy-forms comes without one.
OWN_TEMPLATE_PACK = "django_async_forms/crispy"


@register.simple_tag(takes_context=True)
def async_form(context: Context, form: BaseForm) -> str:
    """
    Render a form with crispy-forms: ``{% async_form form %}``.

    The form's own ``helper`` is used if it has one. The template pack is the project's
    ``CRISPY_TEMPLATE_PACK``, or a plain one of the package's own where that is not set.
    """
    helper = getattr(form, "helper", None)
    if helper is None:
        helper = FormHelper(form)
        helper.add_input(Submit("save", _("Save")))
    pack = getattr(settings, "CRISPY_TEMPLATE_PACK", OWN_TEMPLATE_PACK)
    with context.push(form=form, helper=helper):
        return str(CrispyFormNode("form", "helper", template_pack=pack).render(context))


@register.inclusion_tag("django_async_forms/image.html", takes_context=True)
def async_image(
    context: Context, instance: Model, field_name: str, **options: Any
) -> dict[str, Any]:
    """
    Render an image, or the place where it will be: ``{% async_image photo "image" %}``.

    While it is being saved, the page shows the old image or an empty box, which turns into the new
    image as soon as that is there. Options: ``alt`` (defaults to the instance), ``class``,
    ``width`` and ``height`` in pixels, ``loading``. The template is
    ``django_async_forms/image.html``.

    Raises ``FieldDoesNotExist`` for a name that is not a file field of the instance.
    """
    alt = options.pop("alt", None)
    css_class, loading = options.pop("class", ""), options.pop("loading", "")
    width, height = options.pop("width", None), options.pop("height", None)
    if options:
        raise template.TemplateSyntaxError(
            f"{{% async_image %}} has no option {', '.join(sorted(options))}."
        )
    field = file_field(type(instance), field_name)
    upload = None if instance.pk is None else upload_for(instance, field_name)
    state = "saved" if upload is None else upload.state
    is_pending = state == Upload.State.PENDING
    return {
        "image": stored_image(instance, field),
        "upload": upload,
        "state": state,
        "status_url": _status_url() if is_pending else "",
        "token": token_for(instance, field) if is_pending else "",
        "box": _box(upload, width, height),
        "alt": str(instance) if alt is None else alt,
        "css_class": css_class,
        "loading": loading,
        "width": width,
        "height": height,
        "is_first": state != "saved" and _is_first(context),
    }


def _status_url() -> str:
    try:
        return reverse("django_async_forms:status")
    except NoReverseMatch:
        return ""  # The project has not included it: there is a link to refresh the page.


def _box(upload: Upload | None, width: Any, height: Any) -> tuple[Any, Any]:
    """Return width and height of the place to keep free; only their ratio counts."""
    if width and height:
        return width, height
    if upload is not None and upload.width and upload.height:
        return upload.width, upload.height
    return 3, 2


def _is_first(context: Context) -> bool:
    """Tell whether the page has no image yet that needs the script and the style sheet."""
    # What lies at the bottom is seen by all templates that make the page.
    page: dict[Any, Any] = context.render_context.dicts[0]
    is_first = _is_first not in page
    page[_is_first] = True
    return is_first
