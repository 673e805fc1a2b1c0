"""
The app that Django's suites run with: it puts the mixins under Django's classes.

It is one of the apps of every Django test, so it acts before a test defines its first form.
"""

from django.apps import AppConfig


class SuitesConfig(AppConfig):
    name = "tests.django_suites"
    label = "django_suites"

    def ready(self):
        from . import patches

        patches.apply()
