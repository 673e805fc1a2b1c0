"""The use that the README shows saves a photo, in a new project that has Celery and a folder."""

import re
import textwrap

from tests.tutorial.page import ROOT, Commands, File, Reload, Save, Section, Seen, sections
from tests.tutorial.walk import Walk

README = (ROOT / "README.rst").read_text(encoding="utf-8")
TUTORIAL = {section.title: section for section in sections(ROOT / "docs" / "tutorial.rst")}
#: The README is for a project that has Celery, so it has a broker, and that serves its MEDIA_URL.
SETTINGS = """
MEDIA_ROOT = BASE_DIR / "media"
MEDIA_URL = "media/"
CELERY_BROKER_URL = f"sqla+sqlite:///{BASE_DIR}/broker.sqlite3"
ASYNC_FORMS = {"PUBLISH_TIMEOUT": 10}  # On a busy machine.
"""
URLS = """
from django.conf import settings
from django.conf.urls.static import static

urlpatterns += static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT)
"""
IN_ANOTHER_TERMINAL = "$ cd photosite\n$ . venv/bin/activate\n"
A_PHOTO = """$ python -c "from PIL import Image; Image.radial_gradient('L').save('dune.jpg')\""""


def blocks():
    """Return the language and the text of each code block."""
    pattern = r"^\.\. code-block:: (\S+)\n\n((?:\n|    .*\n)+)"
    return [
        (language, textwrap.dedent(text).rstrip() + "\n")
        for language, text in re.findall(pattern, README, re.MULTILINE)
    ]


def files():
    """Return the files in the README. The first line of each names it."""
    for language, text in blocks():
        if language != "console":
            path, how = re.match(r"\S+ (\S+\.\w+)(?:, (.+))?", text).groups("")
            yield File(path, how, text)


def test_the_shortest_use_saves_a_photo(tmp_path, visitor):
    site, worker = (text for language, text in blocks() if language == "console")
    project = Section(
        "README",
        (
            *TUTORIAL["An empty folder"].steps,
            *TUTORIAL["Celery"].steps,
            File("mysite/settings.py", "at the end", SETTINGS),
            File("mysite/urls.py", "at the end", URLS),
            *files(),
            Commands("first", "$ python manage.py check --fail-level WARNING"),
            Commands("first", f"{site}...\nStarting … server at http://127.0.0.1:8000/\n..."),
            Commands("second", f"{IN_ANOTHER_TERMINAL}{A_PHOTO}\n{worker}..."),
            Save("http://127.0.0.1:8000/photos/add/", "Dune", "dune.jpg"),
            Commands("second", "...\n[…] Upload 3c7a1b1e-…: attached.\n..."),
            Reload(),
            Seen("http://127.0.0.1:8000/photos/1/", ("[an image of 256 by 256 pixels]",)),
        ),
        None,
    )
    walk = Walk([project], tmp_path, visitor)
    try:
        walk.up_to(project)
    finally:
        walk.close()
