"""Checks of ``ASYNC_FORMS``, and of the apps that the package's template needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured

from ..conf import conf
from ..views import AsyncImageViewMixin
from .discovery import subclasses


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
    views = [
        view
        for view in subclasses(AsyncImageViewMixin)
        if getattr(view, "template_name", "") is None
    ]
    if not views or apps.is_installed("crispy_forms"):
        return []
    return [
        Warning(
            f"{views[0].__qualname__} may use the page of django_async_forms, which needs "
            "crispy_forms. INSTALLED_APPS does not contain it.",
            hint="Add 'crispy_forms' to INSTALLED_APPS, or set template_name on the view.",
            id="django_async_forms.W016",
        )
    ]
