"""Finds the uploads that the admin lists: of one database at a time, and fast at a million rows."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db import connections, router
from django.db.models import Q
from django.db.models.functions import Lower
from django.http import Http404, HttpRequest
from django.utils.functional import cached_property
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from .fields import file_fields
from .models import Upload, UploadQuerySet, has_outbox
from .outbox_links import link_instances

if TYPE_CHECKING:
    _Paginator = Paginator[Upload]
else:
    _Paginator = Paginator

logger = logging.getLogger("django_async_forms")

#: The most uploads that the list shows and counts. A search by file name looks at the newest of the
#: same number. A count of all rows would read a whole index.
LIMIT = 10_000
#: How many uploads a search finds of each kind.
MAX_FOUND = 1_000
#: The parameter of the pages' addresses that names the database.
DATABASE = "database"


def default_database() -> str:
    """Return the alias of the database that the router names for the outbox."""
    return router.db_for_write(Upload)


def find_databases(request: Any) -> tuple[list[str], list[str]]:
    """Return the aliases of the databases that hold an outbox, and of those that do not answer."""
    # Keep the result for the request, which then waits only once for a silent database.
    if not hasattr(request, "async_forms_databases"):
        request.async_forms_databases = _find_databases()
    found: tuple[list[str], list[str]] = request.async_forms_databases
    return found


def _find_databases() -> tuple[list[str], list[str]]:
    found, silent = [default_database()], []
    for alias in connections:
        # A replica has the same uploads, and is read only.
        is_mirror = connections[alias].settings_dict.get("TEST", {}).get("MIRROR")
        if alias in found or is_mirror or not router.allow_migrate_model(alias, Upload):
            continue
        try:
            if has_outbox(alias):
                found.append(alias)
        except Exception as error:  # A driver that is not installed, too.
            # The other outboxes can still be shown.
            logger.warning("Database %s: its outbox is not shown: %r", alias, error)
            silent.append(alias)
    return found, silent


def named_database(request: HttpRequest) -> str | None:
    """Return the database that the address of a page names, or its link back to the list."""
    preserved = parse_qs(request.GET.get("_changelist_filters", ""))
    return request.GET.get(DATABASE) or preserved.get(DATABASE, [None])[0]


def chosen_database(request: HttpRequest) -> str:
    """Return the database that a page is about. Raises ``Http404`` if it holds no outbox."""
    named = named_database(request)
    if named is None or named == default_database():
        return default_database()
    if named not in find_databases(request)[0]:
        raise Http404(f"The database {named!r} holds no outbox, or does not answer.")
    return named


def database_query(using: str, **parameters: str) -> str:
    """Return the query string of a page about a database, or ""."""
    if using != default_database():
        parameters[DATABASE] = using
    return f"?{urlencode(parameters)}" if parameters else ""


@dataclass(frozen=True)
class Summary:
    """The counts above the list, up to ``LIMIT``, and the time of the oldest upload."""

    pending: int
    failed: int
    overdue: int
    oldest: datetime | None

    @classmethod
    def of(cls, using: str) -> Summary:
        """Count the uploads of a database, with an index for each query."""
        uploads = Upload.objects.using(using)
        pending = uploads.pending()
        return cls(
            pending=_count(pending),
            failed=_count(uploads.failed()),
            overdue=_count(uploads.overdue()),
            # The oldest of all: finding the oldest pending one would read all older failed ones.
            oldest=uploads.order_by("created_at").values_list("created_at", flat=True).first(),
        )


def _count(uploads: Any, limit: int = LIMIT) -> int:
    return int(uploads.order_by()[: limit + 1].count())


class BoundedPaginator(_Paginator):
    """Counts no further than ``LIMIT``. Filters and the search find the uploads after it."""

    @cached_property
    def count(self) -> int:
        """The number of uploads on all pages."""
        return min(self._counted, LIMIT)

    @property
    def is_cut_off(self) -> bool:
        """Whether there are more uploads than the pages show."""
        return self._counted > LIMIT

    @cached_property
    def _counted(self) -> int:
        return _count(self.object_list)


class OutboxChangeList(ChangeList):
    """The change list of uploads, with links to their instances and to pages of its database."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list: Any = list(self.result_list)
        link_instances(self.result_list, self.model_admin.admin_site, request)

    def url_for_result(self, result: Any) -> str:
        return super().url_for_result(result) + database_query(result.using)


def search(uploads: UploadQuerySet, text: str) -> UploadQuerySet:
    """
    Find uploads by their id, the key of their instance, or the beginning of their file name.

    File names have no index, so the search looks only at those of the newest ``LIMIT`` uploads.
    """
    text = text.strip()
    if not text:
        return uploads
    everything = Upload.objects.using(uploads.db).order_by("-created_at")
    newest = everything.values_list("created_at", flat=True)
    oldest_of_newest = newest[LIMIT - 1 : LIMIT].first()
    # MySQL compares this column byte by byte, and SQLite's LOWER() knows ASCII only.
    begins = Q(name__istartswith=text) | Q(lower__startswith=text.lower())
    names = uploads.alias(lower=Lower("name")).filter(begins).order_by("-created_at")
    if oldest_of_newest is not None:
        names = names.filter(created_at__gte=oldest_of_newest)
    found = set(names.values_list("pk", flat=True)[:MAX_FOUND])
    keys = {text}
    try:
        key = uuid.UUID(text)
    except ValueError:
        pass
    else:
        found.add(key)
        keys.add(str(key))  # The outbox keeps a UUID with hyphens.
    by_key = uploads.filter(object_pk__in=keys).order_by()
    found.update(by_key.values_list("pk", flat=True)[:MAX_FOUND])
    return uploads.filter(pk__in=found)


class DatabaseFilter(admin.SimpleListFilter):
    """Offers the databases that hold an outbox. The list shows one of them."""

    title = _("database")
    parameter_name = DATABASE

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        databases, _silent = find_databases(request)
        return [(alias, alias) for alias in databases] if len(databases) > 1 else []

    def choices(self, changelist: Any) -> Iterator[Any]:
        shown = changelist.root_queryset.db
        for alias, title in self.lookup_choices:
            yield {
                "selected": alias == shown,
                "query_string": changelist.get_query_string({DATABASE: alias}),
                "display": title,
            }

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset  # UploadAdmin.get_queryset() has chosen the database.


class ModelFilter(admin.SimpleListFilter):
    """Offers all models with file fields. Finding those that uploads name would read all rows."""

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


class OverdueFilter(admin.SimpleListFilter):
    """Offers the overdue uploads: those that recovery should have sent again."""

    title = _("next attempt")
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[Any]:
        return [("overdue", _("overdue"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "overdue":
            return queryset.overdue()
        return queryset
