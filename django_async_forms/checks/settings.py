"""Checks of ``ASYNC_FORMS``, and of the apps that the package's template needs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured

from ..conf import conf
from ..views import AsyncImageViewMixin
from .discovery import routed_views, subclasses


def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """ASYNC_FORMS has known keys with usable values."""
    try:
        conf()
    except (ImproperlyConfigured, TypeError, AttributeError) as error:
        return [Error(str(error), hint="See docs/reference.rst.", id="django_async_forms.E001")]
    return []


def check_crispy_forms(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """The app that the package's own page needs is installed."""
    if apps.is_installed("crispy_forms"):
        return []
    candidates: list[tuple[type[Any], dict[str, Any]]]
    candidates = [(view, {}) for view in subclasses(AsyncImageViewMixin)]
    with suppress(Exception):  # Django's own check reports a URL configuration that is not usable.
        candidates += routed_views()
    names = {
        view.__qualname__
        for view, given in candidates
        if issubclass(view, AsyncImageViewMixin)
        and given.get("template_name", getattr(view, "template_name", "")) is None
    }
    if not names:
        return []
    return [
        Warning(
            f"{', '.join(sorted(names))} may use the page of django_async_forms, which needs "
            "crispy_forms. INSTALLED_APPS does not contain it.",
            hint="Add 'crispy_forms' to INSTALLED_APPS, or set template_name on the view.",
            id="django_async_forms.W016",
        )
    ]
