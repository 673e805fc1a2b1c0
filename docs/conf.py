"""How Sphinx builds the documentation: .venvs/docs/bin/sphinx-build -W docs docs/_build."""

import os
import sys
from pathlib import Path

import django
from django.conf import settings

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

settings.configure(
    SECRET_KEY="for the documentation only",
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "crispy_forms",
        "django_async_forms",
    ],
    USE_TZ=True,
)
django.setup()

import django_async_forms  # noqa: E402

project = "django-async-forms"
author = "the django_async_forms developers"
copyright = author
version = release = django_async_forms.__version__

extensions = ["sphinx.ext.autodoc", "sphinxcontrib.svgbob", "settings_table"]
exclude_patterns = ["_build", "example"]
nitpicky = True

# sphinx-build -b spelling needs a library and a dictionary of the operating system's, so it asks
# for them: DOCS_SPELLING=1. Without it the pages are built with what pip brings.
if os.environ.get("DOCS_SPELLING"):
    extensions.append("sphinxcontrib.spelling")
    spelling_lang = "en_GB"
    spelling_word_list_filename = "spelling.txt"
    spelling_warning = True

# Links into the documentation of Django, Celery and Python need the network, so a build asks for
# them: DOCS_INTERSPHINX=1. Without it their names are plain text.
if os.environ.get("DOCS_INTERSPHINX"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "django": (
            "https://docs.djangoproject.com/en/stable/",
            "https://docs.djangoproject.com/en/stable/_objects/",
        ),
        "celery": ("https://docs.celeryq.dev/en/stable/", None),
    }
nitpick_ignore_regex = [
    (r"setting", r".*"),
    (r"py:.*", r"(django|celery|crispy_forms|kombu|uuid|os|typing|collections|datetime)\..*"),
    (r"py:.*", r"(Any|Model|Sequence|File|FileField|Storage|QuerySet|_\w+|UUID|PathLike)"),
]

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"django-async-forms {version}"
html_static_path = ["_static"]
html_css_files = ["diagrams.css"]
html_copy_source = False
html_show_copyright = False
pygments_style = "default"


def setup(app):
    """Know the role ``:setting:`` of the documentation of Django."""
    app.add_crossref_type("setting", "setting")
