"""The app's configuration: what has to be known to Django and Celery from the start."""

from django.apps import AppConfig
from django.core.signals import request_finished, request_started
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class AsyncFormsConfig(AppConfig):
    name = "django_async_forms"
    verbose_name = _("Asynchronous uploads")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Those that nothing here names register by being imported. A project that does not call
        # autodiscover_tasks() has the tasks all the same, because a worker sets Django up.
        from . import after_response, checks, hooks, models, tasks  # noqa: F401

        hooks.install()
        uid = "django_async_forms"
        post_migrate.connect(models.forget_outboxes, dispatch_uid=uid)
        request_started.connect(after_response.begin, weak=False, dispatch_uid=uid)
        request_finished.connect(after_response.end, weak=False, dispatch_uid=uid)
