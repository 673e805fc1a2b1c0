"""The package's scripts and style sheets have the addresses that the static storage gives them."""

import re
from pathlib import Path

import pytest
from django.core.management import call_command

import django_async_forms
from django_async_forms.widgets import AsyncImageInput

SCRIPTS = sorted((Path(django_async_forms.__file__).parent / "static").rglob("*.js"))


@pytest.fixture
def hashed(settings, tmp_path):
    """A static storage that puts a hash into each name; returns its folder."""
    settings.STATIC_ROOT = tmp_path / "static"
    backend = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": backend}}
    settings.DEBUG = False
    call_command("collectstatic", interactive=False, verbosity=0)
    return settings.STATIC_ROOT


def test_each_file_of_the_input_is_named_by_its_content(hashed):
    html = str(AsyncImageInput().media)

    files = re.findall(r'(?:src|href)="/static/([^"]+)"', html)
    assert len(files) == 6
    for file in files:
        assert re.search(r"\.[0-9a-f]{12}\.(js|css)$", file)
        assert (hashed / file).is_file()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_imports_nothing(script):
    # By default, the static storage leaves the addresses in scripts as they are: an imported module
    # would be an old one in a browser's cache, or loaded twice.
    assert not re.search(r"^\s*(import|export)\b|\bimport\(", script.read_text(), re.MULTILINE)
