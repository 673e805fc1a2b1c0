"""The module of the page: a worker imports the task from here."""

from tests.pages import block

globals().update(vars(block("docs/tasks.rst", "make_attempt").execute(package=__package__)))
