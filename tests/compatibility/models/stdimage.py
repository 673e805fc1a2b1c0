"""django-stdimage: an image with variations that are stored beside it."""

import warnings

from django.db import models

from tests.project.witness import witness

with warnings.catch_warnings():
    # The library warns that django-pictures replaces it.
    warnings.simplefilter("ignore", DeprecationWarning)
    from stdimage import StdImageField


def note_and_render(file_name, variations, storage):
    """Let the library render the variations, and note the process."""
    witness().note("django-stdimage")
    return True


class Varied(models.Model):
    title = models.CharField(max_length=100, blank=True)
    image = StdImageField(
        upload_to="varied",
        variations={"small": (16, 12), "square": (10, 10, True)},
        render_variations=note_and_render,
        blank=True,
        width_field="width",
        height_field="height",
    )
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)


class VariedWithoutOrphans(models.Model):
    """A form for it removes the old image with its variations."""

    title = models.CharField(max_length=100, blank=True)
    image = StdImageField(
        upload_to="varied", variations={"small": (16, 12)}, delete_orphans=True, blank=True
    )
