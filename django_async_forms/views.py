"""The generic views whose forms have their images saved by a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.apps import apps
from django.contrib import messages
from django.contrib.messages.views import SuccessMessageMixin
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.generic import CreateView, UpdateView

from .arrival import GONE
from .draft_model import DraftGoneError
from .forms import AsyncImageFormMixin, async_form_class, sends_images

if TYPE_CHECKING:
    _CreateView = CreateView[Any, Any]
    _UpdateView = UpdateView[Any, Any]
    _View = _CreateView
else:
    _CreateView = CreateView
    _UpdateView = UpdateView
    _View = object

_SAVED = gettext_lazy("Saved.")


class AsyncImageViewMixin(_View):
    """
    Mix in before a view with a ``ModelForm``: whatever form class it has, its images are saved by
    a worker.

    The form class may be made from ``model`` and ``fields``, or be a ``form_class`` with or without
    ``AsyncImageFormMixin``. A project without a template for the view gets
    ``django_async_forms/form.html``.
    """

    #: The template that is used where the project has none of the names that Django looks for.
    fallback_template_name = "django_async_forms/form.html"

    #: Whether images are kept as drafts, by ``AsyncImageFormMixin.keep_drafts()``.
    drafts = True

    def get_form_class(self) -> type[Any]:
        """Return the view's form class, with the mixin on it."""
        form_class: Any = super().get_form_class()
        if not issubclass(form_class, forms.BaseModelForm):
            raise ImproperlyConfigured(
                f"{type(self).__name__} has the form class {form_class.__name__}, which is not a "
                "ModelForm. A worker saves only the images of a ModelForm. With another form, call "
                "django_async_forms.uploads.save_image()."
            )
        return async_form_class(form_class)

    def get_form(self, form_class: Any = None) -> Any:
        """Return the form, whose drafts belong to the sender of this request."""
        form: Any = super().get_form(form_class)
        if self.drafts and isinstance(form, AsyncImageFormMixin):
            form.keep_drafts(self.request)
        return form

    def form_valid(self, form: Any) -> HttpResponse:
        """Save the form; show it again if another one has claimed an image of its meanwhile."""
        try:
            return super().form_valid(form)
        except DraftGoneError:
            form.add_error(None, GONE)
            return self.form_invalid(form)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the ``heading`` of the package's page: "Add photo", "Change photo"."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        options = context["form"]._meta.model._meta
        heading = _("Change %s") if context.get("object") else _("Add %s")
        context.setdefault("heading", heading % options.verbose_name)
        return context

    def get_template_names(self) -> list[str]:
        """Return the project's own template names, and the package's after them."""
        if self.template_name is not None:
            return super().get_template_names()
        try:
            names = super().get_template_names()
        except ImproperlyConfigured:
            # A view that has only a form class, before there is an object to tell the model by.
            meta = self.get_form_class()._meta.model._meta
            names = [f"{meta.app_label}/{meta.model_name}{self.template_name_suffix}.html"]
        return [*names, self.fallback_template_name]


class _SuccessMessageMixin(_View):
    """Leaves a message, unless Django's own mixin does. Not for views of which we know nothing."""

    #: The message once the form is saved, with the form's values as in Django's
    #: ``SuccessMessageMixin``. By default it tells whether an image follows. ``None`` turns it off.
    success_message: Any = _SAVED

    _sends_images = False

    def get_success_message(self, cleaned_data: dict[str, Any]) -> str:
        """Return the message, or nothing."""
        if self.success_message is _SAVED and self._sends_images:
            return _("Saved. The image will follow shortly.")
        return str(self.success_message % cleaned_data) if self.success_message else ""

    def form_valid(self, form: Any) -> HttpResponse:
        """Save the form, and leave the message where the project shows messages."""
        response: HttpResponse = super().form_valid(form)
        if form.errors:  # An image was no longer there.
            return response
        mro = type(self).mro()
        # Django's own mixin before this one leaves the message.
        is_left = SuccessMessageMixin in mro[: mro.index(_SuccessMessageMixin)]
        if is_left or not apps.is_installed("django.contrib.messages"):
            return response
        # A get_form() of the project's may return any form.
        self._sends_images = isinstance(form, AsyncImageFormMixin) and sends_images(form)
        message = self.get_success_message(form.cleaned_data)
        if message:
            messages.success(self.request, message, fail_silently=True)
        return response


class AsyncImageCreateView(_SuccessMessageMixin, AsyncImageViewMixin, _CreateView):
    """
    A ``CreateView`` that answers at once and has a worker save the images.

    ::

        class PhotoCreateView(AsyncImageCreateView):
            model = Photo
            fields = ["title", "image"]
    """


class AsyncImageUpdateView(_SuccessMessageMixin, AsyncImageViewMixin, _UpdateView):
    """An ``UpdateView`` that answers at once and has a worker save the images."""
