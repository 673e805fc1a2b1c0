"""The settings of tests/compatibility/tenants, and those of the page."""

from tests.applications.site import make_site
from tests.compatibility.tenants.settings import *  # noqa: F403

globals().update(make_site("docs/howto/tenants.rst", DATA / "site"))  # noqa: F405
