"""The app's configuration, which connects the package to Django and Celery."""

from django.apps import AppConfig, apps
from django.core.signals import request_finished, request_started
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class AsyncFormsConfig(AppConfig):
    name = "django_async_forms"
    verbose_name = _("Asynchronous uploads")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Importing checks and tasks registers them. So a worker has the tasks even if the project
        # does not call autodiscover_tasks().
        from . import after_response, checks, hooks, models, tasks  # noqa: F401

        if apps.is_installed("drf_spectacular"):
            from . import openapi  # noqa: F401 - Importing it registers the extension.

        hooks.install()
        uid = "django_async_forms"
        post_migrate.connect(models.forget_outboxes, dispatch_uid=uid)
        request_started.connect(after_response.begin, weak=False, dispatch_uid=uid)
        request_finished.connect(after_response.end, weak=False, dispatch_uid=uid)
