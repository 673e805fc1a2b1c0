"""The settings of the project: those of the tests, with what the page adds to them."""

from dataclasses import replace

from tests.pages import block
from tests.project.settings import *  # noqa: F403
from tests.project.settings import INSTALLED_APPS

# The module of the page is page.py here.
_of_page = block("docs/tasks.rst", "TASKS = ")
_of_page = replace(_of_page, code=_of_page.code.replace("photos.delivery", f"{__package__}.page"))
_page = _of_page.execute(INSTALLED_APPS=INSTALLED_APPS)
INSTALLED_APPS, TASKS, ASYNC_FORMS = _page.INSTALLED_APPS, _page.TASKS, _page.ASYNC_FORMS
CELERY_BEAT_SCHEDULE = {}
