"""
Changes Django for its suites: the mixins are under its forms and views, without a worker.

A plain ``save()`` of a model with file fields takes the path of a form. Then the worker's part runs
in this process, and leaves the instance as a plain ``save()`` would have left it.
"""

import os
import threading
from collections import Counter
from contextlib import contextmanager, nullcontext
from functools import cache, wraps

from django import forms
from django.apps import apps
from django.apps.registry import Apps
from django.core.checks.registry import registry
from django.db import connections, router, transaction
from django.db.models.signals import class_prepared
from django.views.generic import CreateView, UpdateView

from django_async_forms import forms as async_forms
from django_async_forms import views as async_views
from django_async_forms.attach import attach
from django_async_forms.fields import file_fields, uncommitted_file
from django_async_forms.models import Upload

from .adapter import detach_on_next_save, hide, prepare, send_nothing

#: The apps whose tables every test has, in addition to the apps that it names.
ALWAYS_AVAILABLE = ("crispy_forms", "django_async_forms", "tests.django_suites")

#: The number of uploads that the worker's part has attached. A run without any shows nothing.
counts = Counter()

#: "replacing" for applications whose pages assume that every instance has a file.
WHEN = os.environ.get("SUITES_WHEN", "always")

#: The instances that each thread is saving, by id(), and whether a worker's part saves them.
_saving = threading.local()
_WORKER = "worker"


@cache
def apply():
    """Change Django, once."""
    send_nothing()
    _drop_checks()
    _keep_tables_available()
    async_forms.AsyncImageFormMixin.async_when = WHEN
    # First the package's own classes, which name both bases: a base must not precede itself.
    async_forms.AsyncImageModelForm.__bases__ = (forms.ModelForm,)
    forms.ModelForm.__bases__ = (async_forms.AsyncImageFormMixin, *forms.ModelForm.__bases__)
    for view, async_view in (
        (CreateView, async_views.AsyncImageCreateView),
        (UpdateView, async_views.AsyncImageUpdateView),
    ):
        async_view.__bases__ = (view,)
        view.__bases__ = (async_views.AsyncImageViewMixin, *view.__bases__)
    class_prepared.connect(_wrap_save, dispatch_uid="django_suites")
    for model in apps.get_models(include_auto_created=True, include_swapped=True):
        _wrap_save(model)


def _drop_checks():
    """Remove the package's system checks: the models of these tests do not belong to a project."""
    for check in list(registry.registered_checks):
        if check.__module__.startswith("django_async_forms."):
            registry.registered_checks.remove(check)


def _keep_tables_available():
    """Empty the package's tables after each TransactionTestCase, like those of its apps."""
    set_available_apps = Apps.set_available_apps

    @wraps(set_available_apps)
    def with_the_package(self, available):
        installed = {config.name for config in self.get_app_configs()}
        more = [name for name in ALWAYS_AVAILABLE if name in installed and name not in available]
        set_available_apps(self, [*available, *more])

    Apps.set_available_apps = with_the_package


def _wrap_save(sender, **kwargs):
    # A worker only knows the models of the project's registry.
    if sender._meta.apps is not apps or not file_fields(sender):
        return
    prepare(sender)
    save = sender.save

    @wraps(save)
    def save_as_a_form_does(self, *args, **kwargs):
        active = _saving.__dict__.setdefault("instances", set())
        only = kwargs.get("update_fields")
        files = {
            field: file
            for field in file_fields(self)
            if (file := uncommitted_file(self, field)) is not None
            and (only is None or field.name in only)
        }
        # A worker saves like the field.
        if not files or id(self) in active or _WORKER in active:
            return save(self, *args, **kwargs)
        using = kwargs.get("using") or router.db_for_write(type(self), instance=self)
        detach_on_next_save(self, files, only_replaces=WHEN == "replacing")
        active.add(id(self))
        try:
            save(self, *args, **kwargs)
            with _uncounted(using):
                active.add(_WORKER)
                _attach(self, files, using)
        finally:
            active -= {id(self), _WORKER}

    hide(save_as_a_form_does)
    sender.save = save_as_a_form_does


def _attach(instance, files, using):
    """Do the worker's part, and leave the instance as a plain ``save()`` would have left it."""
    attached = False
    in_transaction = connections[using].in_atomic_block
    for upload in Upload.objects.using(using).for_instance(instance).order_by("created_at"):
        try:
            # A savepoint keeps the test's transaction usable after an error of an attempt.
            with transaction.atomic(using) if in_transaction else nullcontext():
                attach(upload)
        except BaseException:
            Upload.objects.using(using).filter(pk=upload.pk).discard()
            raise
        attached = True
        counts["attached"] += 1
    if not attached:
        return
    rows = type(instance)._base_manager.using(using).filter(pk=instance.pk)
    for field, file in files.items():
        values = rows.values(*_columns(field)).get()
        # This is how FieldFile.save() ends.
        file.name = values[field.attname]
        file._committed = True
        setattr(instance, field.attname, file.name)
        del values[field.attname]
        instance.__dict__.update(values)


def _columns(field):
    """Return the names of an image's columns, without the package's function, which is tested."""
    names = (field.name, getattr(field, "width_field", None), getattr(field, "height_field", None))
    return [c.attname for c in field.model._meta.concrete_fields if c.name in names]


@contextmanager
def _uncounted(using):
    """Do not count the queries that a worker would make after the request."""
    log = connections[using].queries_log
    before = len(log)
    try:
        yield
    finally:
        while len(log) > before:
            log.pop()
