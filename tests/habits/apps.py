"""An app of its own for the models, so that the test project has what it has without them."""

from django.apps import AppConfig


class HabitsConfig(AppConfig):
    name = "tests.habits"
    label = "habits"
