"""django-tenants: runs ``tenants/cases.py`` in a separate project on PostgreSQL."""

import pytest
from django.db import connection

from . import libraries, separate

libraries.need("django-tenants")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="Tenants are schemas of PostgreSQL's")
def test_the_cases_of_tenants():
    separate.run("tenants")
