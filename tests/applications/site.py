"""Makes the project that a page describes: its files, in a folder that Python imports from."""

import sys
from pathlib import Path

from tests.pages import blocks

SETTINGS = "mysite/settings.py"


def make_site(page, folder, more=()):
    """
    Write each block of a page that names a file, and return the settings that the page gives.

    ``more`` has the texts of files that a command of the application would write, by their path.
    """
    named = [block for block in blocks(page) if block.caption]
    files = {block.caption: block.code for block in named if block.caption != SETTINGS}
    for path, text in {**files, **dict(more)}.items():
        path = Path(folder, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        for parent in path.relative_to(folder).parents[:-1]:
            Path(folder, parent, "__init__.py").touch()
        path.write_text(text)
    sys.path.insert(0, str(folder))
    settings = {}
    for block in named:
        if block.caption == SETTINGS:
            exec(compile(block.code, str(block), "exec"), settings)
    return {name: value for name, value in settings.items() if name.isupper()}
