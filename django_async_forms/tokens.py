"""The tokens with which a page asks for the status of an image: signed, for one image each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core import signing
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import connections

from .conf import conf
from .fields import Target, key_from_text, place

_SALT = "django_async_forms.status"


def make_token(target: Target) -> str:
    """
    Return a token for a page: valid for ``STATUS_MAX_AGE``.

    It is signed, not encrypted: whoever has it can read the target.
    """
    parts = [target.model, target.object_pk, target.field_name, target.using]
    return signing.dumps([*parts, place(target.using)], salt=_SALT)


def read_token(token: Any) -> Target | None:
    """Return the target that a token names, or ``None`` if it is forged, unknown or too old."""
    age = timedelta(seconds=conf().STATUS_MAX_AGE)
    try:
        *parts, where = signing.loads(token, salt=_SALT, max_age=age)
        target = Target(*parts)
        # This process may be older or newer than the one that made it.
        key_from_text(target.get_field().model, target.object_pk)
        # Another tenant has an image of the same key.
        return target if target.using in connections and place(target.using) == where else None
    except (signing.BadSignature, LookupError, FieldDoesNotExist, ValidationError):
        return None
    except (TypeError, ValueError):
        return None  # Not a token. A lone surrogate, for one, cannot even be compared.
