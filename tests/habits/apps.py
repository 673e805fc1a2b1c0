"""A separate app for these models, so that they do not change the test project."""

from django.apps import AppConfig


class HabitsConfig(AppConfig):
    name = "tests.habits"
    label = "habits"
