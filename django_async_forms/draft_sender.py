"""Who sends a file: a random secret in the session, and the user if there is one."""

from __future__ import annotations

import hashlib
import secrets
from functools import cached_property
from typing import Any

from django.http import HttpRequest

#: The key in the session of a sender's secret. Logging in keeps it; logging out removes it.
SESSION_KEY = "_async_forms_sender"


class Sender:
    """The sender of a request. A draft belongs to one, and is shown and given to nobody else."""

    def __init__(self, request: HttpRequest, secret: str) -> None:
        self._request = request
        #: The digest of the secret, so that a copy of the database does not contain it.
        self.key = hashlib.sha256(secret.encode()).hexdigest()

    @cached_property
    def user(self) -> str:
        """The primary key of the user as text, or ``""`` for an anonymous visitor."""
        user: Any = getattr(self._request, "user", None)
        return str(user.pk) if user is not None and user.is_authenticated else ""

    def has_sent(self, row: Any) -> bool:
        """Tell whether a draft is from this sender, who may have logged in since."""
        # The user is looked up last: it may cost a query.
        return bool(row.sender == self.key and (not row.user or row.user == self.user))


def sender_of(request: HttpRequest | None, *, create: bool = False) -> Sender | None:
    """
    Return the sender of a request, or ``None`` if the request has no session.

    A visitor who has sent nothing yet has no secret. ``create`` makes one, which saves the session.
    """
    session = getattr(request, "session", None)
    if request is None or session is None:
        return None
    secret = session.get(SESSION_KEY)
    if not isinstance(secret, str):
        if not create:
            return None
        secret = session[SESSION_KEY] = secrets.token_urlsafe(32)
    return Sender(request, secret)
