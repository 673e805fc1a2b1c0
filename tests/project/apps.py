"""The test project is its own only app."""

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    name = "tests.project"
