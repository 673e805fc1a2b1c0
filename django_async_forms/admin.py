"""The admin: of the journal, and of models whose images are saved by a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from . import recovery
from .fields import file_fields
from .forms import AsyncImageModelForm
from .models import Upload, UploadQuerySet
from .status import prefetch_uploads, upload_for
from .widgets import AsyncImageInput

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Upload]
    _AnyModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin
    _AnyModelAdmin = object


class AsyncImageAdminForm(AsyncImageModelForm):
    """The form of ``AsyncImageAdminMixin``: the change page shows what is being saved."""

    image_widget = AsyncImageInput


class AsyncImageAdminMixin(_AnyModelAdmin):
    """
    Mix in before ``ModelAdmin``: a worker saves the images, and the pages show how far it is.

    ::

        @admin.register(Photo)
        class PhotoAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
            list_display = ["title", "async_uploads"]

    The column ``async_uploads`` of the change list says which images are being saved and which
    failed; it costs two queries for each image field, however long the list.
    """

    form = AsyncImageAdminForm

    @admin.display(description=_("uploads"))
    def async_uploads(self, obj: Model) -> str:
        """Say which images of an instance are owed."""
        owed = [(field, upload_for(obj, field.name)) for field in file_fields(obj)]
        return format_html_join(
            ", ",
            "{}: {}",
            (
                (capfirst(field.verbose_name), upload.get_state_display())
                for field, upload in owed
                if upload is not None
            ),
        )

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Return the change list, with what is owed to all of its rows."""
        changelist = super().get_changelist_instance(request)
        if "async_uploads" in changelist.list_display:
            for field in file_fields(self.model):
                prefetch_uploads(changelist.result_list, field.name)
        return changelist


class ModelFilter(admin.SimpleListFilter):
    """The models that have file fields. Asking the table which it names would read all of it."""

    title = _("model")
    parameter_name = "model"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return sorted(
            (model._meta.label_lower, str(capfirst(model._meta.verbose_name)))
            for model in apps.get_models()
            if file_fields(model)
        )

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(model=self.value()) if self.value() else queryset


@admin.register(Upload)
class UploadAdmin(_ModelAdmin):
    """Uploads are made by forms and ended by workers; here they are looked at, and helped along."""

    list_display = [
        "id",
        "model",
        "object_pk",
        "field_name",
        "name",
        "state",
        "attempts",
        "created_at",
        "sent_at",
        "error",
    ]
    list_filter = ["state", ModelFilter, "created_at"]
    # A second count, of all rows, would tell nothing more.
    show_full_result_count = False
    search_fields = ["object_pk__exact"]
    actions = ["retry_uploads"]
    ordering = ["-created_at"]

    @admin.action(permissions=["retry"], description=_("Retry selected failed uploads"))
    def retry_uploads(self, request: HttpRequest, queryset: UploadQuerySet) -> None:
        count = recovery.retry(queryset)
        text = ngettext("%d upload will be retried.", "%d uploads will be retried.", count) % count
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)

    def delete_model(self, request: HttpRequest, obj: Upload) -> None:
        Upload.objects.filter(pk=obj.pk).discard()

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        queryset.discard()

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("django_async_forms.change_upload")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
