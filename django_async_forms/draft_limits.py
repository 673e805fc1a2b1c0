"""The limits on drafts: by number and bytes, for each sender and for each database."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db.models import Sum
from django.utils.translation import gettext_lazy as _

from .conf import conf
from .draft_model import Draft, DraftQuerySet


class TooManyDraftsError(ValidationError):
    """A sender or a database has too many drafts. The file can still come with its form."""


def check_drafts(using: str, sender: str, size: int) -> None:
    """
    Refuse one more draft of ``size`` bytes over any limit.

    Two simultaneous requests may together exceed a limit. Raises ``TooManyDraftsError``.
    """
    limits = conf()
    drafts = Draft.objects.using(using)
    own = drafts.filter(sender=sender)
    if _is_full(own, size, limits.MAX_DRAFTS, limits.MAX_DRAFT_BYTES) or _is_full(
        drafts, size, limits.MAX_DRAFTS_IN_ALL, limits.MAX_DRAFT_BYTES_IN_ALL
    ):
        raise TooManyDraftsError(
            _("Too many images are waiting for their forms. Save or cancel one of them first."),
            code="too_many_drafts",
        )


def _is_full(drafts: DraftQuerySet, size: int, most: int | None, most_bytes: int | None) -> bool:
    if most is not None and drafts.order_by("pk")[most - 1 : most].exists():
        return True
    if most_bytes is None:
        return False
    total: int = drafts.aggregate(bytes=Sum("size"))["bytes"] or 0
    return total + size > most_bytes
