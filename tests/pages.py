"""Reads the pages of the documentation, and the blocks of code that tests execute."""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from django.template import engines

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.rst", *sorted((ROOT / "docs").rglob("*.rst"))]

_BLOCK = re.compile(
    r"^(?P<indent> *)\.\. code-block:: ?(?P<language>.*)\n"
    r"(?P<options>(?:(?P=indent)   :\w+:.*\n)*)"
    r"(?P<code>(?:\n|(?P=indent)   .*\n)+)",
    re.M,
)
_CAPTION = re.compile(r":caption: (.*)")


@dataclass(frozen=True)
class Block:
    """A block of code with its place."""

    page: str
    line: int
    language: str
    code: str
    #: The path of the file that the block is, if it names one.
    caption: str = ""

    def __str__(self):
        return f"{self.page}:{self.line}"

    def execute(self, package="tests.recipes", **names):
        """Execute the block as a module of a package, with some given names; return its names."""
        namespace = {"__name__": f"{package}.page", "__package__": package, **names}
        # With as many lines before it as in the page, so that tracebacks name the right line.
        code = "\n" * (self.line - 1) + self.code
        exec(compile(code, ROOT / self.page, "exec"), namespace)
        return SimpleNamespace(**namespace)

    def render(self, request=None, **context):
        """Render the block, which is a template; return the result."""
        return engines["django"].from_string(self.code).render(context, request)


def blocks(page=None):
    """Return the blocks of all pages, or of one, which is named from the root of the repository."""
    found = []
    for path in PAGES if page is None else [ROOT / page]:
        text = path.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(text):
            blank = len(match["code"]) - len(match["code"].lstrip("\n"))
            found.append(
                Block(
                    str(path.relative_to(ROOT)),
                    text.count("\n", 0, match.start("code")) + blank + 1,
                    match["language"],
                    textwrap.dedent(match["code"]).strip("\n") + "\n",
                    "".join(_CAPTION.findall(match["options"])),
                )
            )
    return found


def block(page, containing):
    """Return the one block of a page that contains a text."""
    [found] = [one for one in blocks(page) if containing in one.code]
    return found
