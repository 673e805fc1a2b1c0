"""The template tags of the package: ``{% load async_forms %}``."""

from __future__ import annotations

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Submit
from crispy_forms.templatetags.crispy_forms_tags import CrispyFormNode
from django import template
from django.conf import settings
from django.forms import BaseForm
from django.template.context import Context
from django.utils.translation import gettext as _

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
