"""An app for the models that pages mention, and one for each block that defines models."""

import sys
from pathlib import Path
from types import ModuleType

from django.apps import AppConfig

from tests.compatibility import libraries
from tests.pages import block


class RecipesConfig(AppConfig):
    name = "tests.recipes"


class BlockConfig(AppConfig):
    """An app with the models of one block: each block has its own ``Photo``."""

    page = None

    def import_models(self):
        super().import_models()
        if self.page is None:  # Like a module, the block is executed once.
            type(self).page = block(*self.block).execute(package=self.name)
        self.models_module = self.page


def _blocks():
    yield "shrunk_later", "docs/howto/fields.rst", "self.image.path"
    yield "shrunk_before", "docs/howto/fields.rst", "_committed"
    yield "picture_only", "docs/howto/metadata.rst", "PictureOnlyField"
    yield "unique_name", "docs/howto/s3.rst", "unique_name"
    for library, containing in [
        ("django-imagekit", "ProcessedImageField"),
        ("django-stdimage", "StdImageField"),
        ("django-pictures", "PictureField"),
        ("easy-thumbnails", "ThumbnailerImageField"),
        ("django-versatileimagefield", "VersatileImageField"),
    ]:
        if libraries.is_there(library):
            label = library.replace("-", "_") + "_page"
            yield label, "docs/howto/thumbnails.rst", containing


def _add(label, *of_page):
    """Make the app of a block; return its name for INSTALLED_APPS."""
    module = ModuleType(f"{__package__}.{label}")
    module.__path__ = [str(Path(__file__).parent / label)]  # An empty place.
    sys.modules[module.__name__] = module
    globals()[label] = type(label, (BlockConfig,), {"name": module.__name__, "block": of_page})
    return f"{__name__}.{label}"


#: What the recipes add to INSTALLED_APPS.
APPS = [f"{__name__}.RecipesConfig", *(_add(*each) for each in _blocks())]
