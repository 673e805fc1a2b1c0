"""The site is its own only app."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "tests.faults.site"
    label = "site"

    def ready(self):
        from . import draft_steps, steps  # noqa: F401
