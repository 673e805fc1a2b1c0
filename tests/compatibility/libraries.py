"""The third-party libraries of these tests, and which of them are installed."""

from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True)
class Library:
    """A distribution, its module, and the apps that it needs."""

    name: str
    module: str
    apps: tuple[str, ...] = ()

    @property
    def is_there(self):
        return find_spec(self.module) is not None


LIBRARIES = {
    library.name: library
    for library in (
        Library("adrf", "adrf"),
        # Its tables would be emptied after each test that commits: see separate.py.
        Library("django-celery-beat", "django_celery_beat"),
        # Only for models that ask for it, so that the files of other tests stay.
        Library("django-cleanup", "django_cleanup", ("django_cleanup.apps.CleanupSelectedConfig",)),
        Library("django-dirtyfields", "dirtyfields"),
        Library("django-extra-views", "extra_views"),
        Library("django-formtools", "formtools"),
        Library("django-health-check", "health_check"),
        Library("django-imagekit", "imagekit", ("imagekit",)),
        Library("django-lifecycle", "django_lifecycle"),
        Library("django-model-utils", "model_utils"),
        # Their settings are for a whole project, so each has its own project: see separate.py.
        Library("django-modeltranslation", "modeltranslation"),
        Library("django-pictures", "pictures"),
        Library("django-polymorphic", "polymorphic", ("polymorphic",)),
        Library("django-resized", "django_resized"),
        Library("django-reversion", "reversion", ("reversion",)),
        Library("django-simple-history", "simple_history", ("simple_history",)),
        Library("django-stdimage", "stdimage"),
        Library("django-storages", "storages"),
        Library("django-tasks-db", "django_tasks_db"),
        Library("django-tenants", "django_tenants"),
        Library("djangorestframework", "rest_framework", ("rest_framework",)),
        Library("drf-spectacular", "drf_spectacular", ("drf_spectacular",)),
        Library("django-versatileimagefield", "versatileimagefield", ("versatileimagefield",)),
        Library("easy-thumbnails", "easy_thumbnails", ("easy_thumbnails",)),
        Library("gcp-storage-emulator", "gcp_storage_emulator"),
        Library("moto", "moto"),
        Library("opentelemetry-sdk", "opentelemetry"),
        Library("prometheus-client", "prometheus_client"),
        Library("sorl-thumbnail", "sorl", ("sorl.thumbnail",)),
        Library("strawberry-graphql", "strawberry"),
    )
}


def is_there(name):
    """Tell whether a library is installed."""
    return LIBRARIES[name].is_there


def apps():
    """Return the apps of the installed libraries for INSTALLED_APPS, the models' app last."""
    found = [app for library in LIBRARIES.values() if library.is_there for app in library.apps]
    return [*found, "tests.compatibility.apps.CompatibilityConfig"]


def need(*names):
    """Skip a test, or a whole module, whose libraries are not installed."""
    import pytest  # The settings import this module, also where pytest is not installed.

    missing = [name for name in names if not is_there(name)]
    if missing:
        pytest.skip(
            f"{', '.join(missing)} is not installed: it is in the extra compatibility",
            allow_module_level=True,
        )
