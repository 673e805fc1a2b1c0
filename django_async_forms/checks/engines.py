"""The engines: the databases that hold the outbox, the Celery app with its broker, and beat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from celery import current_app
from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.utils.module_loading import import_string

from ..celery_delivery import CeleryDelivery
from ..conf import conf
from ..models import Upload
from ..tasks import recover_uploads
from .discovery import target_models


def check_router(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Routers allow the outbox on every database that a target model is written to."""
    return [
        Error(
            f"{model._meta.label} is written to the database {using!r}, on which a router does "
            "not allow the tables of django_async_forms.",
            hint="Let allow_migrate() return True for the app label 'django_async_forms' there: "
            "an upload is kept in the database of its instance.",
            obj=model,
            id="django_async_forms.E011",
        )
        for using, model in target_models()
        # In the public schema, the router of django-tenants allows neither the model nor an outbox.
        if router.allow_migrate_model(using, model)
        and not router.allow_migrate_model(using, Upload)
    ]


def check_sqlite(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """SQLite locks the database as a transaction begins, except where no other process has it."""
    return [
        Warning(
            f"The database {using!r} is SQLite without IMMEDIATE transactions: while a worker "
            'writes, a form may get "database is locked" at once, whatever the timeout.',
            hint=f'Add "transaction_mode": "IMMEDIATE" to DATABASES["{using}"]["OPTIONS"].',
            id="django_async_forms.W023",
        )
        for using in sorted({using for using, _model in target_models()})
        if router.allow_migrate_model(using, Upload) and _may_refuse_its_lock(connections[using])
    ]


def _may_refuse_its_lock(connection: Any) -> bool:
    """Tell whether a database may refuse a write to a transaction that has read before."""
    if connection.vendor != "sqlite" or connection.is_in_memory_db():
        return False
    mode = connection.settings_dict["OPTIONS"].get("transaction_mode") or "DEFERRED"
    return mode.upper() == "DEFERRED"


def check_tables(
    app_configs: Sequence[AppConfig] | None, databases: Iterable[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """The table of the outbox exists. Only a warning: ``migrate`` checks before it creates it."""
    return [
        Warning(
            f"{model._meta.label} is written to the database {using!r}, which has no table "
            f"{Upload._meta.db_table}: no upload can be kept there.",
            hint=f"Run: manage.py migrate --database {using}",
            obj=model,
            id="django_async_forms.W012",
        )
        for using, model in target_models()
        if using in (databases or ())
        and router.allow_migrate_model(using, Upload)
        and Upload._meta.db_table not in connections[using].introspection.table_names()
    ]


def check_celery(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """A Celery app is loaded, and its broker carries messages to other processes."""
    messages: list[CheckMessage] = []
    if not _sends_by_celery():
        return messages
    if not _has_app():
        messages.append(
            Warning(
                "No Celery app is loaded, so uploads are sent to Celery's default broker.",
                hint="Import the app in the __init__.py of the project: from .celery import app. "
                "See docs.celeryq.dev, First steps with Django.",
                id="django_async_forms.W013",
            )
        )
    elif str(current_app.conf.broker_write_url or "").startswith("memory:"):
        messages.append(
            Warning(
                "Celery's broker is the memory of one process: no worker gets a message from it.",
                hint="Set CELERY_BROKER_URL to a broker that processes share.",
                id="django_async_forms.W014",
            )
        )
    if not {"json", "application/json"} & set(current_app.conf.accept_content or ()):
        messages.append(
            Error(
                "Celery's accept_content has no 'json', so workers refuse the messages of uploads.",
                hint="Add 'json' to it. A message holds the id of an upload and nothing else.",
                id="django_async_forms.E015",
            )
        )
    return messages


def check_transport(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """What Celery needs for its broker is installed. This opens no connection."""
    if not _sends_by_celery() or not _has_app():
        return []
    try:
        _ = current_app.connection_for_write().transport
    except Exception as error:
        return [
            Warning(
                f"Celery cannot use its broker, so all uploads stay pending: {error!r}",
                hint="Install what Celery needs for it, such as django-async-forms[redis], or "
                "correct CELERY_BROKER_URL.",
                id="django_async_forms.W024",
            )
        ]
    return []


def _sends_by_celery() -> bool:
    """Tell whether messages leave by Celery, neither eagerly nor by a class of the project."""
    try:
        delivery_class = import_string(conf().DELIVERY)
    except (ImproperlyConfigured, TypeError, AttributeError):
        return False  # E001 has found it.
    return issubclass(delivery_class, CeleryDelivery) and not current_app.conf.task_always_eager


def _has_app() -> bool:
    return current_app.main not in (None, "default")


def check_beat(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Celery beat has ``recover_uploads`` in the settings, or its tables can have it."""
    is_enough = apps.is_installed("django_celery_beat") or not _needs_beat()
    return [] if is_enough else [_never_recovers("CELERY_BEAT_SCHEDULE")]


def check_periodic_tasks(
    app_configs: Sequence[AppConfig] | None, databases: Iterable[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """The tables of django-celery-beat have ``recover_uploads``, unless the settings have it."""
    if not apps.is_installed("django_celery_beat") or not _needs_beat():
        return []
    periodic_task: Any = apps.get_app_config("django_celery_beat").get_model("PeriodicTask")
    using = router.db_for_read(periodic_task)
    if using not in (databases or ()) or (
        periodic_task._meta.db_table not in connections[using].introspection.table_names()
    ):
        return []
    tasks = periodic_task._default_manager.using(using)
    is_there = tasks.filter(task=recover_uploads.name, enabled=True).exists()
    return [] if is_there else [_never_recovers("the periodic tasks in the admin")]


def _needs_beat() -> bool:
    """Tell whether uploads can get lost, and the schedule in the settings does not recover them."""
    if not _sends_by_celery() or not _has_app():
        return False
    current_app.tasks  # noqa: B018 - Receivers of on_after_finalize add to the schedule.
    schedule: dict[str, Any] = current_app.conf.beat_schedule or {}
    tasks = (
        entry["task"] if isinstance(entry, dict) else entry.task for entry in schedule.values()
    )
    return recover_uploads.name not in tasks


def _never_recovers(where: str) -> CheckMessage:
    return Warning(
        f"Nothing runs {recover_uploads.name}: an upload whose message or worker is lost stays "
        "pending for ever.",
        hint=f"Add it to {where}, once a minute. If cron runs manage.py async_uploads recover, "
        "or another scheduler runs the task, add 'django_async_forms.W022' to "
        "SILENCED_SYSTEM_CHECKS.",
        id="django_async_forms.W022",
    )
