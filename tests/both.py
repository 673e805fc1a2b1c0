"""Runs a test with Django's own form, which defines the right result, and with ours."""

from contextlib import suppress

import pytest
from django import forms
from django.db import transaction
from django.forms import modelform_factory

from django_async_forms.forms import AsyncImageModelForm
from tests.project.models import Photo

#: Runs a test with each form; ``base`` is the base class of the form.
both = pytest.mark.parametrize(
    "base", [forms.ModelForm, AsyncImageModelForm], ids=["plain", "async"]
)


def form_for(base, model, data, files=None, instance=None, fields=None):
    """Return a form with the data and files, and with a field for each of them."""
    fields = [*data, *(files or {})] if fields is None else fields
    return modelform_factory(model, base, fields=fields)(data, files or {}, instance=instance)


def async_form(model, data, files=None, instance=None, fields=None):
    """Return a form with the mixin."""
    return form_for(AsyncImageModelForm, model, data, files, instance, fields)


class RollBackError(Exception):
    """Raised to roll a transaction back."""


def roll_back(function):
    """Call a function in a transaction that is rolled back."""
    with suppress(RollBackError), transaction.atomic():
        function()
        raise RollBackError


def without_chance(name):
    """Return a name without the seven characters that a storage adds to a taken name."""
    stem, dot, suffix = name.rpartition(".")
    if len(stem) > 8 and stem[-8] == "_":
        stem = stem[:-8]
    return stem + dot + suffix


def names(model=Photo, using="default"):
    """Return the names of the images of all instances, without chance and sorted."""
    return sorted(without_chance(one.image.name) for one in model.objects.using(using))
