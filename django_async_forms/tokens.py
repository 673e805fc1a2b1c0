"""
The addresses that pages use, and the tokens with which they ask for the status of their images.

Each image has its own token.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core import signing
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import connections
from django.urls import NoReverseMatch, reverse

from .conf import conf
from .fields import Target, key_from_text, outbox_name

_SALT = "django_async_forms.status"


def address_of(view: str, *args: str) -> str:
    """
    Return the address of a view of the package, or ``""`` if the project does not include its URLs.

    Without them, an image comes with its form only, and a page says how to reload it.
    """
    try:
        return reverse(f"django_async_forms:{view}", args=args)
    except NoReverseMatch:
        return ""


def make_token(target: Target) -> str:
    """
    Return a token for a page, which is valid for ``STATUS_MAX_AGE``.

    It is signed but not encrypted: anyone who has the token can read the target.
    """
    parts = [target.model, target.object_pk, target.field_name, target.using]
    return signing.dumps([*parts, outbox_name(target.using)], salt=_SALT)


def read_token(token: Any) -> Target | None:
    """Return the target that a token names, or ``None`` if it is forged, unknown or too old."""
    age = timedelta(seconds=conf().STATUS_MAX_AGE)
    try:
        *parts, outbox = signing.loads(token, salt=_SALT, max_age=age)
        target = Target(*parts)
        # Another version of the project may have made the token.
        key_from_text(target.get_field().model, target.object_pk)
        # Another tenant may have an image with the same key.
        return (
            target if target.using in connections and outbox_name(target.using) == outbox else None
        )
    except (signing.BadSignature, LookupError, FieldDoesNotExist, ValidationError):
        return None
    except (TypeError, ValueError):
        return None  # Not a token: for example, a lone surrogate cannot be compared.
