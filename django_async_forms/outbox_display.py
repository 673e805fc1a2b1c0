"""Renders an upload in the admin: the columns of the list, and the fields of its page."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.files.storage import FileSystemStorage
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from . import outbox_words as words
from .images import SHOWN, find_format
from .models import Upload, printable
from .outbox_links import InstanceLink, current_image, instance_text
from .outbox_list import database_query
from .storage import DatabaseStorage, staging_storage

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Upload]
else:
    _ModelAdmin = admin.ModelAdmin

logger = logging.getLogger("django_async_forms")


class UploadDisplay(_ModelAdmin):
    """The columns and the fields of ``UploadAdmin``, each as text or as safe HTML."""

    # The columns

    @admin.display(description=_("state"))
    def state_sign(self, obj: Upload) -> str:
        """Return the state as a sign and a word, the attempts, and when the next one is due."""
        lines = [words.attempts_made(obj)]
        if obj.state == Upload.State.PENDING and not words.is_overdue(obj):
            lines.append(format_html("{}: {}", gettext("next attempt"), self.next_attempt(obj)))
        small = format_html_join("", "<br><small>{}</small>", ((line,) for line in lines))
        return self._sign(obj) + small

    def _sign(self, obj: Upload) -> str:
        is_overdue = words.is_overdue(obj)
        return format_html(
            '<span class="outbox-state" data-state="{}">{}</span>',
            "overdue" if is_overdue else obj.state,
            gettext("overdue") if is_overdue else obj.get_state_display(),
        )

    @admin.display(description=_("file"))
    def file_cell(self, obj: Upload) -> str:
        """Return the name of the file and its size."""
        name = printable(obj.name)
        return format_html(
            '<span title="{}">{}</span> <small>{}</small>',
            name[:1000],
            Truncator(name).chars(45),
            words.size(obj),
        )

    @admin.display(description=_("instance"))
    def instance_cell(self, obj: Any) -> str:
        """Return the instance, with a link to its change page, and the field."""
        return format_html(
            "{}<br><small>{}</small>", self._link(obj.instance_link), self._field(obj)
        )

    def _link(self, link: InstanceLink) -> str:
        text = Truncator(link.text).chars(80)
        if link.is_gone:
            return format_html('{} <span class="outbox-gone">({})</span>', text, gettext("deleted"))
        return format_html('<a href="{}">{}</a>', link.url, text) if link.url else text

    def _field(self, obj: Upload) -> str:
        try:
            return str(obj.get_field().verbose_name)
        except Exception:  # The upload is from a version of the project with another model.
            return obj.field_name

    @admin.display(description=_("created"), ordering="created_at")
    def age(self, obj: Upload) -> str:
        """Return how long ago the upload was made."""
        return words.moment(obj.created_at, words.ago(obj.created_at))

    @admin.display(description=_("last error"))
    def last_error(self, obj: Upload) -> str:
        """Return the beginning of the error. More of it is in the title, and all on the page."""
        error = words.printable_lines(obj.error)
        return format_html('<span title="{}">{}</span>', error[:2000], Truncator(error).chars(120))

    # The fields

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = {
            None: ["sign", "error_text", "instance", "current_image", "staged_image"],
            _("File"): ["file_name", "content_type", "format", "size", "dimensions"],
            _("History"): ["created", "sent", "attempts_made", "next_attempt", "kept_until"],
            _("Reference"): ["upload_id", "primary_key", "staged", "context_text"],
        }
        return [
            (title, {"fields": [name for name in names if self._has_text(name, obj)]})
            for title, names in fields.items()
            if any(self._has_text(name, obj) for name in names)
        ]

    def _has_text(self, name: str, obj: Any) -> bool:
        optional = {
            "content_type": words.content_type,
            "context_text": words.context,
            "dimensions": words.dimensions,
            "error_text": lambda upload: upload.error,
            "format": self.format,
            "kept_until": lambda upload: upload.state == Upload.State.FAILED,
            "size": words.size,
        }
        return name not in optional or bool(obj and optional[name](obj))

    @admin.display(description=_("state"))
    def sign(self, obj: Upload) -> str:
        """Return the state as a sign and a word."""
        return self._sign(obj)

    @admin.display(description=_("staged image"))
    def staged_image(self, obj: Upload) -> str:
        """Return the staged image if browsers show its format, or else a link to the file."""
        name = self._local_format(obj)
        if name is None:
            return gettext("The staged file is missing")
        address = reverse(f"{self.admin_site.name}:django_async_forms_upload_staged", args=[obj.pk])
        address += database_query(obj.using)
        if (name and name not in SHOWN) or (name == "" and self._is_local(obj)):
            return format_html('<a href="{}">{}</a>', address, gettext("Download the staged file"))
        return format_html(
            '<a class="outbox-stage" href="{}"><img src="{}" alt="{}" loading="lazy"></a>',
            address,
            address,
            capfirst(gettext("staged image")),
        )

    def _is_local(self, obj: Upload) -> bool:
        # Another storage may download the whole file to open it, and the page would wait.
        return isinstance(staging_storage(obj.using), (DatabaseStorage, FileSystemStorage))

    def _local_format(self, obj: Any) -> str | None:
        """Return Pillow's format of the staged file, "" if unknown, or None if it is missing."""
        if not hasattr(obj, "local_format"):
            obj.local_format = ""
            if self._is_local(obj):
                try:
                    with obj.open_staged() as file:
                        obj.local_format = find_format(file)
                except FileNotFoundError:
                    obj.local_format = None
                except Exception as error:
                    logger.warning("Upload %s: its staged file is not shown: %r", obj.pk, error)
        return obj.local_format  # type: ignore[no-any-return]

    @admin.display(description=_("instance"))
    def instance(self, obj: Any) -> str:
        """Return the instance, its own text, and the field."""
        name = "" if obj.instance_link.is_gone else instance_text(obj)
        return format_html(
            "{}{}, {}",
            self._link(obj.instance_link),
            " " + gettext("“%s”") % Truncator(name).chars(100) if name else "",
            self._field(obj),
        )

    @admin.display(description=_("current image"))
    def current_image(self, obj: Upload) -> str:
        """Return a link to the current image of the instance."""
        name, url = current_image(obj)
        if not name:
            return gettext("The instance has no image")
        return format_html('<a href="{}">{}</a>', url, printable(name)) if url else printable(name)

    @admin.display(description=_("file name"))
    def file_name(self, obj: Upload) -> str:
        """Return the name of the file."""
        return printable(obj.name)

    @admin.display(description=_("content type"))
    def content_type(self, obj: Upload) -> str:
        """Return the content type that the browser has sent."""
        return words.content_type(obj)

    @admin.display(description=_("format"))
    def format(self, obj: Upload) -> str:
        """Return Pillow's format of the staged file."""
        name = self._local_format(obj)
        return "JPEG" if name == "MPO" else name or ""

    @admin.display(description=_("size"))
    def size(self, obj: Upload) -> str:
        """Return the size of the file."""
        return words.size(obj)

    @admin.display(description=_("dimensions"))
    def dimensions(self, obj: Upload) -> str:
        """Return the width and the height."""
        return words.dimensions(obj)

    @admin.display(description=_("created"))
    def created(self, obj: Upload) -> str:
        """Return the time when the upload was made."""
        return words.full_moment(obj.created_at)

    @admin.display(description=_("last sent"))
    def sent(self, obj: Upload) -> str:
        """Return the time when the upload was last sent to the workers."""
        return words.full_moment(obj.sent_at)

    @admin.display(description=_("attempts"))
    def attempts_made(self, obj: Upload) -> str:
        """Return the number of attempts, and their limit."""
        return words.attempts(obj)

    @admin.display(description=_("next attempt"))
    def next_attempt(self, obj: Upload) -> str:
        """Return the latest time of the next attempt."""
        text = words.next_attempt(obj)
        return text if obj.state == Upload.State.FAILED else words.moment(obj.due_at, text)

    @admin.display(description=_("kept until"))
    def kept_until(self, obj: Upload) -> str:
        """Return the time when recovery purges a failed upload."""
        return words.moment(obj.due_at, words.exact(obj.due_at))

    @admin.display(description=_("last error"))
    def error_text(self, obj: Upload) -> str:
        """Return the whole error."""
        error = words.printable_lines(obj.error)
        return format_html('<pre class="outbox-error" tabindex="0">{}</pre>', error)

    @admin.display(description=_("context"))
    def context_text(self, obj: Upload) -> str:
        """Return the context of the request, which the upload carries."""
        return format_html_join("", "<div>{}: {}</div>", words.context(obj))

    @admin.display(description=_("ID"))
    def upload_id(self, obj: Upload) -> str:
        """Return the id by which log records name the upload."""
        return str(obj.pk)

    @admin.display(description=_("primary key"))
    def primary_key(self, obj: Upload) -> str:
        """Return the model and the key of the instance."""
        return printable(f"{obj.model} {obj.object_pk}")
