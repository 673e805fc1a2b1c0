"""Identifies the person who sends a draft: by a secret in the session, and the user if any."""

from __future__ import annotations

import hashlib
import secrets
from functools import cached_property
from typing import Any

from django.http import HttpRequest

#: The session's key for the secret. The secret survives a login, and a logout removes it.
SESSION_KEY = "_async_forms_sender"


class Sender:
    """The person who sent a request. Nobody but its sender is shown a draft, or can claim it."""

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
        """Tell whether a draft is from this sender. The sender may have logged in since."""
        # Look the user up last: that may cost a query.
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
