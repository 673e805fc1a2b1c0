"""django-modeltranslation: runs ``translated/cases.py`` in a separate project."""

from . import libraries, separate

libraries.need("django-modeltranslation")


def test_the_cases_of_modeltranslation():
    separate.run("translated")
