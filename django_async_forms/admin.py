"""The journal in the admin: what is owed, since when, what went wrong, and trying again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from . import recovery
from .models import Upload, UploadQuerySet

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Upload]
else:
    _ModelAdmin = admin.ModelAdmin


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
    list_filter = ["state", "model", "created_at"]
    search_fields = ["object_pk__exact"]
    actions = ["retry_uploads"]
    ordering = ["-created_at"]

    @admin.action(
        permissions=["retry"], description=_("Retry the failed among the selected uploads")
    )
    def retry_uploads(self, request: HttpRequest, queryset: UploadQuerySet) -> None:
        count = recovery.retry(queryset)
        text = ngettext("%d upload is tried again.", "%d uploads are tried again.", count) % count
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
