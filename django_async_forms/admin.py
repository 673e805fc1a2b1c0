"""The admin's public names: a mixin for models whose images a worker saves, and the outbox."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from .fields import file_fields
from .forms import AsyncImageModelForm, async_form_class, extended_form_class
from .outbox_admin import UploadAdmin
from .status import prefetch_uploads, upload_for
from .widgets import AsyncImageInput

if TYPE_CHECKING:
    _AnyModelAdmin = admin.ModelAdmin[Any]
else:
    _AnyModelAdmin = object


__all__ = ["AsyncImageAdminForm", "AsyncImageAdminMixin", "UploadAdmin"]


class AsyncImageAdminForm(AsyncImageModelForm):
    """The form of ``AsyncImageAdminMixin``: the change page shows pending images."""

    image_widget = AsyncImageInput


def admin_form_class(form_class: Any) -> Any:
    """Return ``form_class`` with the mixin and a widget that shows pending images."""
    return async_form_class(form_class, AsyncImageInput)


class AsyncImageAdminMixin(_AnyModelAdmin):
    """
    Mix in before ``ModelAdmin`` or an inline: a worker saves the images, and the pages show the
    state of each.

    ::

        @admin.register(Photo)
        class PhotoAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
            list_display = ["title", "async_uploads"]

    A project's own ``form`` gets ``AsyncImageFormMixin`` if it does not have it. So do the forms of
    ``list_editable``. A project's own widget is kept.

    The column ``async_uploads`` of the change list shows which images are pending and which have
    failed. It costs two queries for each image field, however long the list is.

    If a page comes back with an error, its images are kept as drafts.
    """

    #: Whether images are kept as drafts, by ``AsyncImageFormMixin.keep_drafts()``.
    drafts = True

    #: Whether an inline has an input that takes several images, each for a form of its own.
    several_images = False

    #: The name of the model field with the order of the images of such an inline, which can then be
    #: moved.
    order_field = ""

    template: str  # Of an inline.

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.form = admin_form_class(self.form)
        if self.several_images:
            self.inline_template = self.template
            self.template = "admin/django_async_forms/inline.html"

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> type[Any]:
        """Return the form class of the add and change pages, with the mixin."""
        form_class: type[Any] = super().get_form(request, *args, **_with_mixin(kwargs))
        return self._for_sender(form_class, request)

    def _for_sender(self, form_class: Any, request: HttpRequest | None) -> type[Any]:
        """Return a subclass for this request, whose sender owns the drafts of the form."""
        # A base class may choose another form than the one that it is given, as UserAdmin does.
        form_class = admin_form_class(form_class)
        if request is None:  # Some code passes none, because it only inspects the form class.
            return form_class  # type: ignore[no-any-return]
        attributes = {
            # A class lives until the garbage collector runs. Do not keep the request that long.
            "request_of_sender": weakref.proxy(request),
            "drafts": self.drafts and form_class.drafts,
        }
        return extended_form_class(form_class, form_class.__name__, (form_class,), attributes)

    def get_formset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> type[Any]:
        """Return the formset class of an inline, whose forms have the mixin."""
        formset: type[Any] = super().get_formset(  # type: ignore[misc]
            request, *args, **_with_mixin(kwargs)
        )
        formset.form = self._for_sender(formset.form, request)
        return formset

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> type[Any]:
        """Return the form class of ``list_editable``, with the mixin."""
        kwargs.setdefault("form", AsyncImageAdminForm)
        return super().get_changelist_form(request, **_with_mixin(kwargs))

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> type[Any]:
        """Return the formset class of ``list_editable``, whose forms have the mixin."""
        formset: type[Any] = super().get_changelist_formset(request, **kwargs)
        formset.form = self._for_sender(formset.form, request)
        return formset

    @admin.display(description=_("uploads"))
    def async_uploads(self, obj: Model) -> str:
        """Return the image fields whose upload is pending or failed, each with its state."""
        uploads = [(field, upload_for(obj, field.name)) for field in file_fields(obj)]
        return format_html_join(
            ", ",
            "{}: {}",
            (
                (capfirst(field.verbose_name), upload.get_state_display())
                for field, upload in uploads
                if upload is not None
            ),
        )

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Return the change list; look up the uploads of all rows at once if it shows them."""
        changelist = super().get_changelist_instance(request)
        for field in file_fields(self.model):
            if {"async_uploads", field.name} & {
                *changelist.list_display,
                *changelist.list_editable,
            }:
                prefetch_uploads(changelist.result_list, field.name)
        return changelist


def _with_mixin(kwargs: dict[str, Any]) -> dict[str, Any]:
    if kwargs.get("form") is not None:
        kwargs["form"] = admin_form_class(kwargs["form"])
    return kwargs
