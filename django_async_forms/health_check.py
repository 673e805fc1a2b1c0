"""A check for django-health-check."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connections
from health_check.base import HealthCheck
from health_check.exceptions import ServiceUnavailable

from .health import find_problems


@dataclass
class UploadHealthCheck(HealthCheck):  # type: ignore[misc]
    """
    Reports what ``health.find_problems()`` returns. Name it in the checks of the view::

        HealthCheckView.as_view(checks=["django_async_forms.health_check.UploadHealthCheck"])
    """

    def run(self) -> None:
        """Raise ``ServiceUnavailable`` with the reasons why images are not being saved."""
        try:
            problems = find_problems()
        finally:
            # This runs in a thread of its own. No request ends there, which would close them.
            connections.close_all()
        if problems:
            raise ServiceUnavailable(" ".join(problems))
