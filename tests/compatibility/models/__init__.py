"""A model for each installed library, and models that need no library."""

from importlib import import_module

from tests.compatibility import libraries

from . import own  # noqa: F401

MODULES = {
    "django-cleanup": "cleanup",
    "django-dirtyfields": "dirty",
    "django-imagekit": "imagekit",
    "django-lifecycle": "lifecycle",
    "django-model-utils": "tracker",
    "django-pictures": "pictures",
    "django-polymorphic": "polymorphic",
    "django-resized": "resized",
    "django-reversion": "reversion",
    "django-simple-history": "history",
    "django-stdimage": "stdimage",
    "django-storages": "s3",
    "django-versatileimagefield": "versatile",
    "easy-thumbnails": "thumbnails",
    "sorl-thumbnail": "sorl",
}

for name, module in MODULES.items():
    if libraries.is_there(name):
        import_module(f"{__name__}.{module}")
