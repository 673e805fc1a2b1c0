"""The app's configuration: what has to be known to Django and Celery from the start."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AsyncFormsConfig(AppConfig):
    name = "django_async_forms"
    verbose_name = _("Asynchronous uploads")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Both modules register by being imported. A project that does not call
        # autodiscover_tasks() has the tasks all the same, because a worker sets Django up.
        from . import checks, tasks  # noqa: F401
