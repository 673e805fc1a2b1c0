"""The list of tests that differ, each with a sentence that must be in the documentation."""

import re
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("differences.txt")
ROOT = Path(__file__).parents[2]
_LINE = re.compile(r"(?P<test>\S+)(?: \[(?P<only>[^]]+)\])? (?P<page>\S+): (?P<sentence>.+)")


@dataclass(frozen=True)
class Difference:
    """A test that differs, for the reason in a sentence of the documentation."""

    test: str
    page: str
    sentence: str
    where: str


def read_differences(database, series, file=FILE):
    """Return the differences in one environment by test, and the errors in the list."""
    found, wrong, missing = {}, [], {}
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        where = f"{file.relative_to(ROOT)}:{number}"
        match = _LINE.fullmatch(line)
        if match is None or not match["test"].rpartition(".")[2].startswith("test_"):
            wrong.append(f'{where} is not "TEST [ONLY HERE] PAGE: SENTENCE", with a single test.')
            continue
        page = ROOT / match["page"]
        if not page.exists() or _plain(match["sentence"]) not in _plain(page.read_text()):
            missing.setdefault(f"{match['page']} does not say: {match['sentence']}", where)
        if set((match["only"] or "").split()) <= {database, series}:
            found[match["test"]] = Difference(
                match["test"], match["page"], match["sentence"], where
            )
    return found, wrong + [f"{where}: {text}" for text, where in missing.items()]


def _plain(text):
    """Return a text with single spaces."""
    return " ".join(text.split())
