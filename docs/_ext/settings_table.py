"""The directive ``settings-table``: the keys of ASYNC_FORMS, from the comments beside them."""

import re
import typing
from pathlib import Path

from django_async_forms import conf


def settings_rows():
    """Return (key, default, meaning) for each key, as reStructuredText."""
    defaults = conf.AsyncFormsSettings._field_defaults
    kinds = typing.get_type_hints(conf.AsyncFormsSettings)
    comments = _comments()
    return [(key, _readable(defaults[key], kinds[key]), comments[key]) for key in defaults]


def _comments():
    """Return the ``#:`` comment above each key."""
    source = Path(conf.__file__).read_text(encoding="utf-8")
    found = re.findall(r"((?: +#: .*\n)+) +(\w+): ", source)
    return {key: re.sub(r"\s*#: ", " ", comment).strip() for comment, key in found}


def _readable(value, kind):
    """Return a default as a person would say it: times are seconds, which are floats there."""
    if kind is str:
        return f"``{value}``"
    if kind is not float:
        return f"{value}"
    for unit, seconds in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if value >= 2 * seconds or value == seconds:
            count = value // seconds
            return f"{value} ({count} {unit}{'s' if count > 1 else ''})"
    return f"{value}"


def setup(app):
    from docutils.parsers.rst import directives
    from sphinx.util.docutils import SphinxDirective

    class SettingsTable(SphinxDirective):
        """Makes a list-table of ``settings_rows()``."""

        option_spec = {"class": directives.class_option}

        def run(self):
            self.env.note_dependency(conf.__file__)
            lines = [".. list-table::", "   :header-rows: 1", "   :widths: 25 20 55", ""]
            for row in [("Key", "Default", "Meaning"), *settings_rows()]:
                key, default, meaning = row
                name = f"``{key}``" if key.isupper() else key
                lines += [f"   * - {name}", f"     - {default}", f"     - {meaning}"]
            return self.parse_text_to_nodes("\n".join(lines))

    app.add_directive("settings-table", SettingsTable)
    return {"parallel_read_safe": True}
