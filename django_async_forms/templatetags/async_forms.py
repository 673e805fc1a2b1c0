"""The template tags of the package: ``{% load async_forms %}``."""

from __future__ import annotations

import re
from copy import copy, deepcopy
from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Field, Submit
from crispy_forms.layout_slice import LayoutSlice
from crispy_forms.templatetags.crispy_forms_tags import CrispyFormNode
from django import forms, template
from django.conf import settings
from django.db.models import Model
from django.forms import BaseForm, BaseFormSet, BaseModelFormSet
from django.template.context import Context
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..conf import conf
from ..draft_sender import sender_of
from ..fields import file_field, unwrapped
from ..layout import AsyncImage
from ..models import Upload
from ..status import base_name, prefetch_uploads, stored_file, token_for, upload_for, url_of
from ..tokens import address_of
from ..widgets import AsyncImageInput

register = template.Library()

#: A template pack of the package's own, because crispy-forms comes without one.
OWN_TEMPLATE_PACK = "django_async_forms/crispy"


@register.simple_tag(takes_context=True)
def async_form(context: Context, form: BaseForm) -> str:
    """
    Render a form with crispy-forms: ``{% async_form form %}``.

    The form's own ``helper`` is used if it has one. The template pack is the project's
    ``CRISPY_TEMPLATE_PACK``, or a plain one of the package's own where that is not set. The form's
    scripts and style sheets carry the page's nonce, if it has one.
    """
    helper = getattr(form, "helper", None)
    if helper is None:
        helper = FormHelper(form)
        helper.add_input(Submit("save", _("Save")))
    helper = _with_image_inputs(helper, form)
    nonce = _nonce(context) if helper.include_media else ""
    if nonce:
        helper = copy(helper)
        helper.include_media = False
    pack = getattr(settings, "CRISPY_TEMPLATE_PACK", OWN_TEMPLATE_PACK)
    with context.push(form=form, helper=helper):
        html = CrispyFormNode("form", "helper", template_pack=pack).render(context)
    # Last: a layout object may have changed a widget, and with it the media.
    return format_html("{}{}", _media(form.media, nonce) if nonce else "", html)


def _with_image_inputs(helper: Any, form: BaseForm) -> Any:
    """
    Return a form's helper whose layout has an ``AsyncImage`` for each ``AsyncImageInput``.

    Template packs write a file input by themselves, without its widget. A layout object that the
    project has chosen for a field stays.
    """
    names = {bound.name for bound in form if _has_input(bound.field)}
    if not names:
        return helper
    # The project's helper may be one for all requests.
    helper = copy(helper)
    helper.layout = deepcopy(helper.layout) or helper.build_default_layout(form)

    def wrap(parent: Any, position: int) -> None:
        if not isinstance(parent, Field):
            parent.fields[position] = AsyncImage(parent.fields[position])

    pointers = [found for found in helper.layout.get_field_names() if found.name in names]
    LayoutSlice(helper.layout, pointers).pre_map(wrap)
    return helper


def _media(media: forms.Media, nonce: str) -> str:
    """Return media with a nonce. Before Django 6.1, ``Media`` takes no attributes."""
    attribute = format_html(' nonce="{}"', nonce) if nonce else ""
    tags = r"<(?:script|link|style)\b(?![^>]*\snonce=)"
    return mark_safe(re.sub(tags, lambda tag: tag[0] + attribute, str(media)))  # noqa: S308


@register.simple_tag(takes_context=True)
def async_formset(
    context: Context,
    formset: BaseFormSet[Any],
    field: str = "",
    order: str = "",
    template_name: str = "django_async_forms/formset.html",
) -> str:
    """
    Render a formset, and an input that takes several images: ``{% async_formset formset %}``.

    Each image gets a form of its own. ``field`` is the form field for the image, and defaults to
    the first image field. ``order`` is the form field with the order of the images, and defaults to
    the formset's own where that has ``can_order``. With it, the page can move the images.
    ``template_name`` is the template that is rendered. The scripts and style sheets carry the
    page's nonce, if it has one. Without JavaScript, the formset is one like any other.

    Raises ``TemplateSyntaxError`` for a field that the forms do not have.
    """
    all_forms = [*formset, formset.empty_form]
    fields = all_forms[-1].fields
    images = (name for name in fields if isinstance(fields[name], forms.ImageField))
    field = field or next(images, "")
    order = order or ("ORDER" if formset.can_order else "")
    # Without an image field, as in an inline that may only be viewed, there is nothing to add.
    for name in (field, order) if field else ():
        if name and name not in fields:
            raise template.TemplateSyntaxError(
                f"{{% async_formset %}} found no form field {name!r}. Choose one of these: "
                f"{', '.join(fields)}."
            )
    for form in all_forms if field else ():
        AsyncImageInput.install(form, field)
    if isinstance(formset, BaseModelFormSet) and field and _has_input(fields[field]):
        # The uploads of all of them, so that no input asks for its own.
        prefetch_uploads([form.instance for form in formset.initial_forms], field)
    nonce = _nonce(context)
    limit = ngettext(
        "The limit is %(count)d image.", "The limit is %(count)d images.", formset.max_num
    )
    shown = {
        "formset": formset,
        "forms": all_forms,
        "field": field,
        "order": order,
        "accept": _accept(fields[field]) if field else "",
        "limit": limit % {"count": formset.max_num},
        "nonce": nonce,
        "media": _media(formset.media, nonce),
    }
    engine = context.template.engine  # type: ignore[union-attr]  # It is being rendered.
    with context.push(**shown):
        html: str = engine.get_template(template_name).render(context)
    return html


def _has_input(form_field: forms.Field) -> bool:
    return isinstance(form_field.widget, AsyncImageInput)


def _accept(form_field: forms.Field) -> str:
    """Return the types of files that the input of a form field accepts."""
    widget = form_field.widget
    return str(widget.build_attrs(widget.attrs).get("accept", ""))


@register.simple_tag(takes_context=True)
def async_nonce(context: Context) -> str:
    """Return the nonce of the page's policy, or nothing, for templates of a project's own."""
    return _nonce(context)


@register.inclusion_tag("django_async_forms/image.html", takes_context=True)
def async_image(
    context: Context, instance: Model, field_name: str, **options: Any
) -> dict[str, Any]:
    """
    Render an image, or the place where it will be: ``{% async_image photo "image" %}``.

    While it is pending, the person who has sent it sees it, if ``SHOW_STAGED`` is on and the
    template has the request. Everyone else sees the old image or an empty box. Either turns into
    the saved image as soon as that is there.

    Options: ``alt`` (defaults to the instance), ``class``, ``width`` and ``height`` in pixels,
    ``loading``, and ``assets=False`` for a page that has the script and the style sheet. The
    template is ``django_async_forms/image.html``.

    Renders nothing without an instance, such as a related one that does not exist. Raises
    ``FieldDoesNotExist`` for a name that is not a file field of the instance.
    """
    _check_options("async_image", options, {"alt", "class", "width", "height", "loading", "assets"})
    if _is_missing(instance):
        return {"state": "saved"}
    alt = options.get("alt")
    width, height = _pixels(options, "width"), _pixels(options, "height")
    shown = _context_of(context, instance, field_name, options)
    upload: Upload | None = shown["upload"]
    box = _box(upload, width, height)
    staged_url = _staged_url(context, shown)
    return {
        **shown,
        "staged_url": staged_url,
        "shown_url": staged_url or shown["url"],
        "image": shown["file"],
        "box": box or _box(None, width or (None if height else 384), height, ratio=(3, 2)),
        "is_box_known": box is not None,
        "fit": "height" if height and not width else "",
        "alt": str(instance) if alt is None else alt,
        "loading": options.get("loading", ""),
        "width": width,
        "height": height,
    }


@register.inclusion_tag("django_async_forms/file.html", takes_context=True)
def async_file(
    context: Context, instance: Model, field_name: str, **options: Any
) -> dict[str, Any]:
    """
    Render a link to a file, or its name and state: ``{% async_file report "document" %}``.

    While it is pending, the page shows its name or the link to the old file, which turns into the
    link to the new one as soon as that is there. Options: ``class``, of the link, and
    ``assets=False`` for a page that has the script and the style sheet. The template is
    ``django_async_forms/file.html``.

    Renders nothing without an instance. Raises ``FieldDoesNotExist`` for a name that is not a file
    field of the instance.
    """
    _check_options("async_file", options, {"class", "assets"})
    if _is_missing(instance):
        return {"state": "saved"}
    shown = _context_of(context, instance, field_name, options)
    upload: Upload | None = shown["upload"]
    stored = base_name(shown["file"].name)
    return {**shown, "name": stored if stored or upload is None else base_name(upload.name)}


def _is_missing(instance: Any) -> bool:
    """Tell whether a template has no instance: ``None``, or the text for a name that is unknown."""
    return unwrapped(instance) is None or isinstance(instance, str)


def _check_options(tag: str, options: dict[str, Any], known: set[str]) -> None:
    unknown = ", ".join(sorted(options.keys() - known))
    if unknown:
        raise template.TemplateSyntaxError(f"{{% {tag} %}} has no option {unknown}.")


def _pixels(options: dict[str, Any], side: str) -> float | None:
    """Return an option that is a number of pixels; ``None`` where it is empty."""
    value = options.get(side)
    if not value:
        return None
    try:
        pixels = float(value)
    except (TypeError, ValueError):
        pixels = 0
    if not 0 < pixels < float("inf"):
        raise template.TemplateSyntaxError(
            f"The {side} of {{% async_image %}} is {value!r}. Give a number of pixels above zero."
        )
    return _whole(pixels)


def _whole(pixels: float) -> float:
    """Return a number without decimals that say nothing."""
    return int(pixels) if pixels == int(pixels) else round(pixels, 2)


def _context_of(
    context: Context, instance: Model, field_name: str, options: dict[str, Any]
) -> dict[str, Any]:
    """Return the part of a template's context that images and other files have in common."""
    instance = unwrapped(instance)
    field = file_field(type(instance), field_name)
    upload = None if instance.pk is None else upload_for(instance, field_name)
    state = "saved" if upload is None else upload.state
    is_pending = state == Upload.State.PENDING
    file = stored_file(instance, field)
    slow_in = None if upload is None or not is_pending else _slow_in(upload)
    has_assets = not options.get("assets", True) or (state == "saved" and not file)
    needs_style = not has_assets and _is_first(context, "style")
    needs_script = not has_assets and is_pending and _is_first(context, "script")
    return {
        "file": file,
        "url": url_of(file),
        "upload": upload,
        "state": state,
        "note": "slow" if slow_in == 0 else state,
        "slow_in": slow_in,
        "status_url": address_of("status") if is_pending else "",
        "token": token_for(instance, field) if is_pending else "",
        "css_class": options.get("class", ""),
        "needs_style": needs_style,
        "needs_script": needs_script,
        "nonce": _nonce(context) if needs_style or needs_script else "",
    }


def _staged_url(context: Context, shown: dict[str, Any]) -> str:
    """Return where a pending image is shown to the person who sent it, and "" for anyone else."""
    upload: Upload | None = shown["upload"]
    # The session is read last: it may cost a query, and makes the page one for this visitor only.
    if not shown["token"] or not upload or not upload.sender or not conf().SHOW_STAGED:
        return ""
    sender = sender_of(_request(context))
    if sender is None or sender.key != upload.sender:
        return ""
    return address_of("staged", shown["token"])


def _slow_in(upload: Upload) -> float:
    """Return in how many seconds a pending upload takes longer than usual."""
    age = timezone.now() - upload.created_at
    return max(0, round(conf().SLOW_AFTER - age.total_seconds(), 1))


def _box(
    upload: Upload | None,
    width: float | None,
    height: float | None,
    ratio: tuple[float, float] | None = None,
) -> tuple[float, float] | None:
    """Return width and height of the place to keep free, or ``None`` where they are unknown."""
    if width and height:
        return width, height
    if upload is not None and upload.width and upload.height:
        ratio = upload.width, upload.height
    if ratio is None:
        return None
    if width:
        return width, _whole(width * ratio[1] / ratio[0])
    if height:
        return _whole(height * ratio[0] / ratio[1]), height
    return ratio


def _is_first(context: Context, asset: str) -> bool:
    """Tell whether the page has no element yet that has brought the script or the style sheet."""
    # What lies at the bottom is seen by all templates that make the page.
    page: dict[Any, Any] = context.render_context.dicts[0]
    is_first = (_is_first, asset) not in page
    page[_is_first, asset] = True
    return is_first


def _request(context: Context) -> Any:
    # A template that was included with "only" has no variables of the page.
    return context.get("request") or getattr(context, "request", None)


def _nonce(context: Context) -> str:
    """Return the nonce of the page's Content-Security-Policy: Django's, or django-csp's."""
    request = _request(context)
    nonces = (
        context.get("csp_nonce"),
        getattr(request, "csp_nonce", None),
        getattr(request, "_csp_nonce", None),
    )
    # A lazy one is false until it is text for the first time.
    return next((str(nonce) for nonce in nonces if nonce is not None), "")
