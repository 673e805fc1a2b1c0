"""Generic views with forms whose images a worker saves."""

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
    Mix in before a view with a ``ModelForm``: a worker saves the images, whatever the form class.

    The view may make the form class from ``model`` and ``fields``, or name a ``form_class`` with or
    without ``AsyncImageFormMixin``. If the project has no template for the view, the page is
    ``django_async_forms/form.html``.
    """

    #: The template for a view whose own templates the project does not have.
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
        """Return the form, with the mixin. The sender of this request owns its drafts."""
        is_class = isinstance(form_class, type)
        if is_class and issubclass(form_class, forms.BaseModelForm):
            form_class = async_form_class(form_class)
        form: Any = super().get_form(form_class)
        if self.drafts and isinstance(form, AsyncImageFormMixin):
            form.keep_drafts(self.request)
        return form

    def form_valid(self, form: Any) -> HttpResponse:
        """Save the form; show it again if another form has claimed one of its images meanwhile."""
        try:
            return super().form_valid(form)
        except DraftGoneError:
            form.add_error(None, GONE)
            return self.form_invalid(form)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the ``heading`` of the package's page: "Add photo", "Change photo"."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        # A view may show another form beside its own, and pass it on when it is not valid.
        if isinstance(context["form"], forms.BaseModelForm):
            options = context["form"]._meta.model._meta
            heading = _("Change %s") if context.get("object") else _("Add %s")
            context.setdefault("heading", heading % options.verbose_name)
        return context

    def get_template_names(self) -> list[str]:
        """Return the project's template names, and then the package's."""
        if self.template_name is not None:
            return super().get_template_names()
        try:
            names = super().get_template_names()
        except ImproperlyConfigured:
            # The view has neither a model nor an object, so only the form class names the model.
            meta = self.get_form_class()._meta.model._meta
            suffix = getattr(self, "template_name_suffix", "_form")  # A FormView has none.
            names = [f"{meta.app_label}/{meta.model_name}{suffix}.html"]
        return [*names, self.fallback_template_name]


class _SuccessMessageMixin(_View):
    """
    Adds a message when the form is saved, unless Django's own ``SuccessMessageMixin`` does.

    ``AsyncImageViewMixin`` does not extend it, because a project's view may have its own messages.
    """

    #: The message when the form is saved, with the form's values as in Django's
    #: ``SuccessMessageMixin``. The default says whether an image follows. ``None`` turns it off.
    success_message: Any = _SAVED

    _sends_images = False

    def get_success_message(self, cleaned_data: dict[str, Any]) -> str:
        """Return the message, or an empty one to add none."""
        if self.success_message is _SAVED and self._sends_images:
            return _("Saved. The image will follow shortly.")
        return str(self.success_message % cleaned_data) if self.success_message else ""

    def form_valid(self, form: Any) -> HttpResponse:
        """Save the form, and add the message if the project has Django's messages."""
        response: HttpResponse = super().form_valid(form)
        if form.errors:  # The form is shown again, because one of its drafts is gone.
            return response
        mro = type(self).mro()
        # If Django's own mixin comes before this one, it adds the message.
        django_adds_it = SuccessMessageMixin in mro[: mro.index(_SuccessMessageMixin)]
        if django_adds_it or not apps.is_installed("django.contrib.messages"):
            return response
        # A project's get_form() may return any form.
        self._sends_images = isinstance(form, AsyncImageFormMixin) and sends_images(form)
        message = self.get_success_message(form.cleaned_data)
        if message:
            messages.success(self.request, message, fail_silently=True)
        return response


class AsyncImageCreateView(_SuccessMessageMixin, AsyncImageViewMixin, _CreateView):
    """
    A ``CreateView`` that answers immediately and lets a worker save the images.

    ::

        class PhotoCreateView(AsyncImageCreateView):
            model = Photo
            fields = ["title", "image"]
    """


class AsyncImageUpdateView(_SuccessMessageMixin, AsyncImageViewMixin, _UpdateView):
    """An ``UpdateView`` that answers immediately and lets a worker save the images."""
