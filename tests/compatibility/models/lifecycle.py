"""django-lifecycle: methods that are called when a column changes."""

from django.db import models
from django_lifecycle import (
    AFTER_CREATE,
    AFTER_SAVE,
    BEFORE_SAVE,
    LifecycleModelMixin,
    hook,
)


class Hooked(LifecycleModelMixin, models.Model):
    title = models.CharField(max_length=100, blank=True)
    slug = models.CharField(max_length=100, blank=True, editable=False)
    image = models.ImageField(upload_to="hooked", blank=True)

    #: The called hooks, each with the image before and now.
    seen = []
    #: The error that a hook raises after the new image was saved.
    error = None

    def note(self, hook):
        Hooked.seen.append((hook, str(self.initial_value("image")), self.image.name))

    @hook(BEFORE_SAVE, when="image", has_changed=True)
    def before_an_image(self):
        self.note("before")

    @hook(AFTER_SAVE, when="image", has_changed=True)
    def after_an_image(self):
        self.note("after")
        if Hooked.error:
            raise Hooked.error

    @hook(AFTER_SAVE, when="image", has_changed=True, on_commit=True)
    def after_the_commit_of_an_image(self):
        self.note("committed")

    @hook(BEFORE_SAVE, when="image", has_changed=True)
    def name_after_image(self):
        self.slug = self.image.name.rpartition("/")[2]


class Titled(LifecycleModelMixin, models.Model):
    """A model without a hook for the image."""

    title = models.CharField(max_length=100, blank=True)
    image = models.ImageField(upload_to="titled", blank=True)

    seen = []

    @hook(AFTER_CREATE)
    def after_create(self):
        Titled.seen.append("created")

    @hook(AFTER_SAVE, when="title", has_changed=True)
    def after_a_title(self):
        Titled.seen.append(self.title)
