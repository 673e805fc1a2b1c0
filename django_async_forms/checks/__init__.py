"""System checks, which report a misconfiguration before an upload meets it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Tags, register

# The checks are imported when they run: a process of a site, which runs none, starts without them.


@register()
def check_project(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Run the checks that query no database."""
    from . import engines, forms, models, settings, staging

    return _run(
        [
            settings.check_settings,
            settings.check_crispy_forms,
            engines.check_router,
            engines.check_sqlite,
            engines.check_celery,
            engines.check_transport,
            engines.check_beat,
            staging.check_staging,
            models.check_unique_fields,
            models.check_constraints,
            models.check_primary_keys,
            forms.check_forms,
            forms.check_serializers,
            forms.check_translated_fields,
        ],
        app_configs,
        **kwargs,
    )


@register(Tags.database)
def check_databases(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Run the checks that query the databases."""
    from . import engines

    return _run([engines.check_tables, engines.check_periodic_tasks], app_configs, **kwargs)


def _run(
    checks: Sequence[Callable[..., list[CheckMessage]]],
    app_configs: Sequence[AppConfig] | None,
    **kwargs: Any,
) -> list[CheckMessage]:
    _import_urls()
    return [message for check in checks for message in check(app_configs, **kwargs)]


def _import_urls() -> None:
    """Import the project's views, and with them its forms. Django's own check may come later."""
    from django.urls import get_resolver

    with suppress(Exception):  # Django's check reports it.
        _ = get_resolver().url_patterns
