"""The test project's settings with Oscar, and those of its page."""

# ruff: noqa: F403, F405
from oscar import INSTALLED_APPS as OSCAR
from oscar.defaults import *

from tests.applications.site import make_site
from tests.project.settings import *

#: The apps that the page has the reader fork, with "oscar_fork_app".
FORKED = {
    f"oscar.apps.{name}": f"shop.{name}"
    for name in (
        "catalogue.apps.CatalogueConfig",
        "dashboard.apps.DashboardConfig",
        "dashboard.catalogue.apps.CatalogueDashboardConfig",
    )
}
INSTALLED_APPS = [
    *(FORKED.get(app, app) for app in OSCAR),
    "sorl.thumbnail",
    "crispy_forms",
    "django_async_forms",
]
MIDDLEWARE = [
    *MIDDLEWARE,
    "oscar.apps.basket.middleware.BasketMiddleware",
    "django.contrib.flatpages.middleware.FlatpageFallbackMiddleware",
]
AUTHENTICATION_BACKENDS = [
    "oscar.apps.customer.auth_backends.EmailBackend",
    "django.contrib.auth.backends.ModelBackend",
]
TEMPLATES = [
    {
        **TEMPLATES[0],
        "OPTIONS": {
            "context_processors": [
                *TEMPLATES[0]["OPTIONS"]["context_processors"],
                "oscar.apps.search.context_processors.search_form",
                "oscar.apps.checkout.context_processors.checkout",
                "oscar.apps.communication.notifications.context_processors.notifications",
                "oscar.core.context_processors.metadata",
            ]
        },
    }
]
HAYSTACK_CONNECTIONS = {"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}}
DATABASES = {"default": DATABASES["default"]}
DATABASE_ROUTERS = []
ROOT_URLCONF = "tests.applications.oscar.urls"
SITE_ID = 1


def _fork(original, fork):
    """Return the path and the text of a forked app's configuration, as the command writes it."""
    module, _, name = original.rpartition(".")
    package = fork.removesuffix(f".apps.{name}")
    text = f"import {module} as apps\n\n\nclass {name}(apps.{name}):\n    name = {package!r}\n"
    return f"{package.replace('.', '/')}/apps.py", text


globals().update(
    make_site("docs/howto/oscar.rst", DATA / "site", (_fork(*names) for names in FORKED.items()))
)
