"""Made-up text, half of whose characters have a special meaning."""

from hypothesis import strategies

#: Some of these end a string, a line, a path or a tag, or reverse text. Some are not text.
CHARACTERS = strategies.characters() | strategies.sampled_from(
    "\0\n\r\x1b\x7f /\\.:~-_%&<>'\"aA0é写🏜\u202e\u2066\ufeff\u2028\ud83d\udcff"
)


def texts(min_size=0, max_size=20):
    """Make up such text. (``strategies.text()`` would choose all characters equally often.)"""
    return strategies.lists(CHARACTERS, min_size=min_size, max_size=max_size).map("".join)
