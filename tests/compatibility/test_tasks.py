"""Django's tasks in a table: runs ``tasks/cases.py``, and all of the recovery's tests, on them."""

import django
import pytest

from . import libraries, separate

libraries.need("django-tasks-db")


@pytest.mark.skipif(django.VERSION < (6, 0), reason="Django's tasks came with Django 6.0")
def test_the_cases_of_tasks():
    separate.run("tasks")
