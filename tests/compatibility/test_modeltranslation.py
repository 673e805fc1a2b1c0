"""django-modeltranslation: the cases of ``translated/cases.py``, in a project of its own."""

from . import libraries, separate

libraries.need("django-modeltranslation")


def test_the_cases_of_modeltranslation():
    separate.run("translated")
