"""
What a page tells its reader to do, as steps in the page's order.

What is told in other words, or in blocks of another kind, is refused and not left out, so that
nothing on the page goes unnoticed.
"""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: What is to be done, or seen, on a page of the site.
_SAVE = r"^Open (\S+), give the title \*(.+)\* and the image ``(.+)``, and save\.$"
_TRY = r"^Open (\S+), give the title \*(.+)\* and the image ``(.+)`` once more, and save\.$"
_AGAIN = r"^Change the title to \*(.+)\*, and save\.$"
_RELOAD = r"^Load the page again\b"
_BLOCK = r"^\.\. code-block:: (\S+)\n(?:   :caption: (.+)\n)?\n((?:\n|   .*\n)+)"
_ANY = re.compile(
    rf"(?P<block>{_BLOCK})|(?P<save>{_SAVE})|(?P<try>{_TRY})|(?P<again>{_AGAIN})"
    rf"|(?P<reload>{_RELOAD})",
    re.MULTILINE,
)
#: Of how a file is changed, by what its caption says after the path.
AT_THE_END, IN_PLACE_OF = "at the end", "in place of "


@dataclass(frozen=True)
class Commands:
    """Lines in a terminal: commands, what they print, and ``^C``."""

    terminal: str
    text: str

    def parts(self):
        """Yield what is typed, or nothing if no more is typed, with what is printed after it."""
        lines = ["", *re.split(r"^(\$ .+|\^C)$", self.text, flags=re.MULTILINE)]
        for typed, printed in zip(lines[::2], lines[1::2], strict=True):
            yield typed.removeprefix("$ "), printed.strip("\n")


@dataclass(frozen=True)
class File:
    """A file to write, or what to put at its end or in place of one of its settings."""

    path: str
    how: str
    text: str

    @property
    def setting(self):
        return self.how.removeprefix(IN_PLACE_OF)


@dataclass(frozen=True)
class Seen:
    """What a page of the site shows."""

    address: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Save:
    """A form to fill in and to send."""

    address: str
    title: str
    image: str


@dataclass(frozen=True)
class Try(Save):
    """A form that comes back with an error."""


@dataclass(frozen=True)
class SaveAgain:
    """That form with another title."""

    title: str


@dataclass(frozen=True)
class Reload:
    """The browser's button."""


@dataclass(frozen=True)
class Section:
    """A part of the page under a title; ``needs`` names a broker that it cannot do without."""

    title: str
    steps: tuple
    needs: str | None


def sections(path):
    """Return the sections of a page that have steps."""
    parts = re.split(r"^(.+)\n-{3,}\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert not _steps(parts[0]), "There is something to do before the first section."
    found = []
    for title, text in zip(parts[1::2], parts[2::2], strict=True):
        needs = re.search(r"^\.\. needs: (\w+)$", text, re.MULTILINE)
        if steps := _steps(text):
            found.append(Section(title, steps, needs and needs[1]))
    return found


def _steps(text):
    steps = []
    for match in _ANY.finditer(text):
        if match["save"]:
            steps.append(Save(*re.match(_SAVE, match[0]).groups()))
        elif match["try"]:
            steps.append(Try(*re.match(_TRY, match[0]).groups()))
        elif match["again"]:
            steps.append(SaveAgain(*re.match(_AGAIN, match[0]).groups()))
        elif match["reload"]:
            steps.append(Reload())
        else:
            language, caption, code = re.match(_BLOCK, match[0]).groups()
            steps.append(_block(language, caption or "", textwrap.dedent(code).strip("\n")))
    told = len(re.findall(r"code-block::|^Open\b|^Change\b|^Load\b", text, re.MULTILINE))
    assert told == len(steps), f"Something that is told is not understood:\n{text}"
    return tuple(steps)


def _block(language, caption, text):
    if language == "console":
        terminal = re.search(r"\w+(?= terminal$)", caption)
        return Commands(terminal[0] if terminal else "first", text)
    if language == "text" and caption.startswith("http"):
        return Seen(caption, tuple(text.splitlines()))
    path, _, how = caption.partition(", ")
    assert how in ("", AT_THE_END) or how.startswith(IN_PLACE_OF), f"How: {caption}"
    assert "." in path and " " not in path, f"No path: {caption!r}, above\n{text}"
    return File(path, how, text + "\n")
