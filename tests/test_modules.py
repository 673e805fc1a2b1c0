"""The modules of the package are in layers, as docs/contributing.rst draws them."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import django_async_forms
from tests.pages import ROOT

PACKAGE = Path(django_async_forms.__file__).parent
PAGE = ROOT / "docs" / "contributing.rst"


def layers():
    """
    Return the position of each module in the picture: its half of the package, and its row.

    Rows are counted from the top. A row of two boxes has both halves.
    """
    picture = re.search(r"\.\. svgbob::\n((?:   .*\n|\n)+)", PAGE.read_text(encoding="utf-8"))[1]
    found, titles, row = {}, [], 0
    for line in picture.splitlines():
        if title := re.findall(r'\.-+ "([\w ]+)" -+\.', line):
            titles = title
        elif "|" in line:
            row += 1
            for part, text in zip(titles, re.findall(r"\|([^|]*)\|", line), strict=True):
                names = re.findall(r"\w+", text)
                assert not found.keys() & set(names), f"twice in the picture: {names}"
                found.update(dict.fromkeys(names, (part, row)))
    return found


def modules():
    """Return the paths of the modules by name. The modules of a folder have its name."""
    paths = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if name not in ("__init__", "migrations"):
            paths.setdefault(name, []).append(path)
    return paths


def imports(name):
    """Return the modules of the package that a module imports, anywhere and also for types."""
    found = set()
    for path in modules()[name]:
        folder = ["django_async_forms", *path.relative_to(PACKAGE).parent.parts]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = folder[: len(folder) - node.level + 1] if node.level else []
                base = ".".join([*base, *filter(None, [node.module])])
                found |= {f"{base}.{alias.name}" for alias in node.names}
    own = {module.split(".")[1] for module in found if module.startswith("django_async_forms.")}
    return (own & modules().keys()) - {name}


def test_the_picture_of_the_layers_has_each_module_and_no_other():
    assert layers().keys() == modules().keys()
    assert {part for part, _ in layers().values()} == {
        "the whole",
        "request half",
        "worker half",
        "what both need",
    }


def test_the_list_below_the_picture_has_each_module_and_no_other():
    below = PAGE.read_text(encoding="utf-8").partition(".. svgbob::")[2]
    part = below[: below.index(".. _tests-to-run-first:")]

    assert sorted(re.findall(r"^- ``(\w+)``: ", part, re.M)) == sorted(modules())


def test_the_imports_of_the_modules_are_found():
    # Imports in a function, for types, of a module by its package, and from a folder.
    assert imports("apps") >= {"after_response", "checks", "hooks", "tasks"}
    assert imports("attach") >= {"hooks", "context"}
    assert imports("management") >= {"models", "recovery"}


@pytest.mark.parametrize("name", modules())
def test_a_module_imports_only_modules_below_it(name):
    above = layers()
    _, row = above[name]

    assert {other for other in imports(name) if above[other][1] <= row} == set()


def test_no_modules_import_each_other():
    # This raises a CycleError that names the cycle.
    TopologicalSorter({name: imports(name) for name in modules()}).prepare()


@pytest.mark.parametrize(
    ("half", "other"), [("request half", "worker half"), ("worker half", "request half")]
)
def test_neither_half_imports_a_module_of_the_other(half, other):
    part = {name: part for name, (part, _) in layers().items()}
    wrong = {
        (name, imported)
        for name in modules()
        for imported in imports(name)
        if part[name] == half and part[imported] == other
    }

    assert wrong == set()
