"""
The app that Django's suites run with: it puts the mixins under Django's classes.

It is installed among the apps that each of Django's tests has, so that it acts before the first
form of a test is defined.
"""

from django.apps import AppConfig


class SuitesConfig(AppConfig):
    name = "tests.django_suites"
    label = "django_suites"

    def ready(self):
        from . import patches

        patches.apply()
