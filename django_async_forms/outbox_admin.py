"""The admin of the outbox: an operator looks at uploads, retries failed ones, and discards them."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import parse_qs

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import Error
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from . import outbox_words as words
from .delivery import retry
from .models import Upload, UploadQuerySet, printable
from .outbox_display import UploadDisplay
from .outbox_links import link_instances
from .outbox_list import (
    BoundedPaginator,
    DatabaseFilter,
    ModelFilter,
    OutboxChangeList,
    OverdueFilter,
    Summary,
    chosen_database,
    database_query,
    default_database,
    find_databases,
    named_database,
    search,
)
from .staged_response import staged_response

logger = logging.getLogger("django_async_forms")

#: How many uploads one action takes. It has a transaction for each, all in one request, and the
#: confirmation has a form field for each, of which Django accepts 1,000.
MAX_ACTION = 500
#: How many uploads the confirmation lists.
MAX_LISTED = 20


@admin.register(Upload)
class UploadAdmin(UploadDisplay):
    """The list of uploads, the page of each, and what an operator may do: retry and discard."""

    list_display = ["state_sign", "file_cell", "instance_cell", "age", "last_error"]
    list_display_links = ["file_cell"]
    list_filter = ["state", OverdueFilter, DatabaseFilter, ModelFilter, "created_at"]
    # Other columns have no index to sort a million rows by.
    sortable_by = ["age"]
    ordering = ["-created_at"]
    paginator = BoundedPaginator
    # Either would count all rows.
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    # Django shows the search box for any name here. get_search_results() does the search.
    search_fields = ["object_pk__exact"]
    search_help_text = _("Primary key, beginning of the file name, or upload ID.")
    # The second replaces Django's action of that name.
    actions = ["retry_uploads", "delete_selected"]

    # Permissions: nothing is added or changed by hand.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Tell whether a user may retry uploads, which takes the permission to change them."""
        return request.user.has_perm("django_async_forms.change_upload")

    # The list

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).using(chosen_database(request))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return OutboxChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        return search(queryset, search_term), False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        if not self.has_view_permission(request):
            raise PermissionDenied
        databases, silent = find_databases(request)
        named = named_database(request)
        try:
            if named is not None and named not in databases:
                raise Error(f"no outbox in {named}")
            using = chosen_database(request)
            context = {
                "summary": list(words.summary(Summary.of(using), using)),
                "silent_databases": [
                    gettext("The database “%s” does not answer.") % printable(alias)
                    for alias in silent
                ],
                "title": capfirst(self.opts.verbose_name_plural),
                "subtitle": using if len(databases) > 1 else None,
            }
            return super().changelist_view(request, {**context, **(extra_context or {})})
        except ValidationError:  # A key was posted that no upload can have.
            return self._ended(request)
        except Error as error:
            if named is None or named == default_database():
                raise
            logger.warning("Database %s: its outbox is not shown: %r", named, error)
            text = gettext("The database “%s” holds no outbox, or does not answer.")
            self.message_user(request, text % printable(named), messages.ERROR)
            return HttpResponseRedirect(request.path)

    # One upload

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        upload = super().get_object(request, object_id, from_field)
        if upload is not None:
            link_instances([upload], self.admin_site, request)
        return upload

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        if request.method == "POST" or not self.has_view_permission(request):
            raise PermissionDenied
        upload = self.get_object(request, unquote(object_id))
        if upload is None:
            return self._ended(request)
        context = {
            "retry_url": self._page_address(request, "retry", upload),
            "discard_url": self._page_address(request, "delete", upload),
            "may_retry": self.has_retry_permission(request) and upload.state == Upload.State.FAILED,
            "may_discard": self.has_delete_permission(request, upload),
            "title": capfirst(self.opts.verbose_name),
        }
        return super().change_view(
            request, object_id, form_url, {**context, **(extra_context or {})}
        )

    # What an operator does

    @admin.action(permissions=["retry"], description=_("Retry selected failed uploads"))
    def retry_uploads(self, request: HttpRequest, queryset: UploadQuerySet) -> None:
        """Retry those of the selected uploads that have failed."""
        chosen = self._limited(request, queryset.failed())
        count = self._retry(request, chosen)
        text = ngettext("%d upload will be retried.", "%d uploads will be retried.", count) % count
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)

    def _retry(self, request: HttpRequest, uploads: list[Upload]) -> int:
        done = [upload for upload in uploads if retry(self._rows(request, upload))]
        if done:
            user: Any = request.user
            text = gettext("Retried.")
            LogEntry.objects.log_actions(user.pk, done, CHANGE, change_message=text)
        return len(done)

    @admin.action(permissions=["delete"], description=_("Discard selected uploads"))
    def delete_selected(
        self, request: HttpRequest, queryset: UploadQuerySet
    ) -> HttpResponseBase | None:
        """Ask whether to discard the selected uploads, and discard them after the answer."""
        chosen = self._limited(request, queryset)
        if chosen and not request.POST.get("post"):
            return self._confirm_discard(request, chosen)
        self._discard(request, chosen, len(set(request.POST.getlist(ACTION_CHECKBOX_NAME))))
        return None

    def _limited(self, request: HttpRequest, queryset: Any) -> list[Upload]:
        chosen = list(queryset[: MAX_ACTION + 1])
        if len(chosen) > MAX_ACTION:
            text = gettext("An action takes %d uploads at a time. Repeat it for the others.")
            self.message_user(request, text % MAX_ACTION, messages.WARNING)
        return chosen[:MAX_ACTION]

    def _rows(self, request: HttpRequest, upload: Upload) -> UploadQuerySet:
        return Upload.objects.using(chosen_database(request)).filter(pk=upload.pk)

    def _discard(self, request: HttpRequest, uploads: list[Upload], selected: int) -> None:
        # Discard one by one, so that the history names only the uploads that were discarded here.
        done = [upload for upload in uploads if self._rows(request, upload).discard()]
        count = len(done)
        if done:
            self.log_deletions(request, done)  # type: ignore[arg-type]
        text = ngettext("%d upload was discarded.", "%d uploads were discarded.", count) % count
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)
        # A worker or another operator was faster.
        if count < selected <= MAX_ACTION:
            text = ngettext(
                "%d upload had ended or changed meanwhile.",
                "%d uploads had ended or changed meanwhile.",
                selected - count,
            )
            self.message_user(request, text % (selected - count), messages.WARNING)

    def _confirm_discard(self, request: HttpRequest, uploads: list[Any]) -> TemplateResponse:
        link_instances(uploads[:MAX_LISTED], self.admin_site, request)
        count, more = len(uploads), max(len(uploads) - MAX_LISTED, 0)
        context = {
            **self.admin_site.each_context(request),
            **self._titles(gettext("Discard")),
            "question": ngettext(
                "Do you want to discard this upload?",
                "Do you want to discard these %(count)d uploads?",
                count,
            )
            % {"count": count},
            "consequence": ngettext(
                "Its staged file will be deleted and cannot be recovered. "
                "The instance keeps its current image.",
                "Their staged files will be deleted and cannot be recovered. "
                "Each instance keeps its current image.",
                count,
            ),
            "listed": [
                (printable(upload.name), upload.instance_link) for upload in uploads[:MAX_LISTED]
            ],
            "uploads": uploads,
            "more": ngettext("and %d more", "and %d more", more) % more if more else "",
            "back_url": self._list_address(request),
            "media": self.media,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(
            request, "admin/django_async_forms/upload/delete_confirmation.html", context
        )

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> Any:
        if not self.has_delete_permission(request):
            raise PermissionDenied
        upload = self.get_object(request, unquote(object_id))
        if upload is None:
            return self._ended(request)
        if request.method != "POST":
            return self._confirm_discard(request, [upload])
        self._discard(request, [upload], 1)
        return HttpResponseRedirect(self._list_address(request))

    @method_decorator(require_POST)
    def retry_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Retry one failed upload, and show it again."""
        if not self.has_retry_permission(request):
            raise PermissionDenied
        upload = self.get_object(request, unquote(object_id))
        if upload is None:
            return self._ended(request)
        if self._retry(request, [upload]):
            text = ngettext("%d upload will be retried.", "%d uploads will be retried.", 1) % 1
            self.message_user(request, text, messages.SUCCESS)
        else:
            self.message_user(request, gettext("This upload has not failed."), messages.WARNING)
        return HttpResponseRedirect(self._page_address(request, "change", upload))

    @method_decorator(require_safe)
    def staged_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Send the staged file to a user who may view uploads."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        upload = self.get_object(request, unquote(object_id))
        if upload is None:
            return self._not_staged(request, 404)
        try:
            return staged_response(upload, request)
        except FileNotFoundError:
            return self._not_staged(request, 404)
        except Exception as error:
            logger.warning("Upload %s: its staged file is not shown: %r", upload.pk, error)
            return self._not_staged(request, 503)

    def _not_staged(self, request: HttpRequest, status: int) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            **self._titles(
                gettext("The staged file is missing")
                if status == 404
                else gettext("The staging storage does not answer")
            ),
            "is_missing": status == 404,
            "back_url": self._list_address(request),
        }
        return TemplateResponse(
            request, "admin/django_async_forms/upload/staged_missing.html", context, status=status
        )

    def _titles(self, title: str) -> dict[str, Any]:
        # The breadcrumbs of Django's change page end with the variable "original".
        return {"title": title, "original": title, "opts": self.opts, "has_view_permission": True}

    def get_urls(self) -> list[URLPattern]:
        site = self.admin_site
        return [
            path(
                "<path:object_id>/retry/",
                site.admin_view(self.retry_view),
                name="django_async_forms_upload_retry",
            ),
            path(
                "<path:object_id>/staged/",
                # The response has its own headers for caches.
                site.admin_view(self.staged_view, cacheable=True),
                name="django_async_forms_upload_staged",
            ),
            *super().get_urls(),
        ]

    def _page_address(self, request: HttpRequest, name: str, upload: Upload) -> str:
        address = reverse(
            f"{self.admin_site.name}:django_async_forms_upload_{name}", args=[quote(str(upload.pk))]
        )
        filters = self._filters(request)
        kept = {"_changelist_filters": filters} if filters else {}
        return address + database_query(upload.using, **kept)

    def _filters(self, request: HttpRequest) -> str:
        """Return the query of the list that the user came from, or is on."""
        preserved = parse_qs(self.get_preserved_filters(request))
        return preserved.get("_changelist_filters", [""])[0]

    def _list_address(self, request: HttpRequest) -> str:
        address = reverse(f"{self.admin_site.name}:django_async_forms_upload_changelist")
        filters = self._filters(request)
        if filters:
            return f"{address}?{filters}"
        return address + database_query(named_database(request) or default_database())

    def _ended(self, request: HttpRequest) -> HttpResponseRedirect:
        text = gettext("This upload has ended: it was attached, superseded or discarded.")
        self.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(self._list_address(request))
