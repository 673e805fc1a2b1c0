"""Fixtures for the recipes: the packages that pages import from, forms, and signals."""

import sys
from types import ModuleType

import pytest
from django.contrib.auth.models import User
from django.forms import modelform_factory
from django.views.generic import CreateView

import tests.recipes
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.test import save_pending_uploads
from tests.compatibility.conftest import server  # noqa: F401
from tests.recipes import models


@pytest.fixture(autouse=True)
def packages(monkeypatch):
    """Makes the packages that the pages name this one."""
    for name in ("photos", "albums"):
        monkeypatch.setitem(sys.modules, name, tests.recipes)
        monkeypatch.setitem(sys.modules, f"{name}.models", models)
    views = ModuleType("projects.views")
    views.OurCreateView = CreateView
    monkeypatch.setitem(sys.modules, "projects", ModuleType("projects"))
    monkeypatch.setitem(sys.modules, "projects.views", views)


@pytest.fixture
def owner():
    return User.objects.create(username="ann", email="ann@example.com")


@pytest.fixture
def save_form(in_memory):
    """Saves a form with an image for a model, as a view does, and returns the instance."""

    def save(model, instance=None, image=None, **data):
        form_class = modelform_factory(model, AsyncImageModelForm, fields=["image", *data])
        image = image or in_memory()
        # The widget of one library has two inputs.
        form = form_class(data, {"image": image, "image_0": image}, instance=instance)
        assert form.is_valid(), form.errors
        return form.save()

    return save


@pytest.fixture
def save_and_attach(save_form):
    """Saves a form and then its pending image; returns the row."""

    def save(model, **data):
        photo = save_form(model, **data)
        save_pending_uploads()
        photo.refresh_from_db()
        return photo

    return save


@pytest.fixture
def connected(monkeypatch):
    """Lets a page connect receivers to signals until the end of the test."""

    def keep(*signals):
        for signal in signals:
            monkeypatch.setattr(signal, "receivers", list(signal.receivers))

    return keep
