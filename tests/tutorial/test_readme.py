"""The use that the README shows makes a form that works, in a project like the tutorial's."""

import re
import textwrap

from tests.tutorial.page import ROOT, Commands, File, Section, sections
from tests.tutorial.walk import Walk

README = ROOT / "README.rst"
TUTORIAL = {section.title: section for section in sections(ROOT / "docs" / "tutorial.rst")}
#: What a project has that the README takes for granted: addresses for its views.
ADDRESSES = """
from django.views.generic import DetailView
from photos.models import Photo
from photos.views import PhotoCreateView

urlpatterns += [
    path("", PhotoCreateView.as_view()),
    path("photos/<int:pk>/", DetailView.as_view(model=Photo), name="photo"),
]
"""


def files():
    """Return the files of the README's code blocks; the first line of each names it."""
    block = r"^\.\. code-block:: \S+\n\n    \S+ (\S+\.\w+)(?:, ([^;\n]*))?.*\n((?:\n|    .*\n)+)"
    text = README.read_text(encoding="utf-8")
    found = re.findall(block, text, re.MULTILINE)
    assert len(found) == text.count("code-block::")
    return [File(path, how, textwrap.dedent(code)) for path, how, code in found]


def test_the_shortest_use_saves_a_photo(tmp_path):
    [tests, run] = TUTORIAL["A test of its own"].steps
    project = Section(
        "README",
        (
            *TUTORIAL["An empty folder"].steps,
            *TUTORIAL["Celery"].steps,
            *TUTORIAL["A model"].steps,
            File("mysite/settings.py", "at the end", 'INSTALLED_APPS += ["photos"]\n'),
            *files(),
            File("mysite/urls.py", "at the end", ADDRESSES),
            Commands("first", "$ python manage.py makemigrations photos"),
            Commands("first", "$ python manage.py check --fail-level WARNING"),
            tests,
            Commands("first", run.text),
        ),
        None,
    )
    walk = Walk([project], tmp_path)
    try:
        walk.up_to(project)
    finally:
        walk.close()
