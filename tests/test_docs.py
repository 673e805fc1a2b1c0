"""The documentation is honest: its code compiles, and it names what there is and nothing else."""

import ast
import importlib
import importlib.util
import inspect
import re
import shlex
import textwrap
from dataclasses import fields
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.template import engines

import django_async_forms
from django_async_forms.conf import AsyncFormsSettings

ROOT = Path(__file__).parent.parent
PACKAGE = Path(django_async_forms.__file__).parent
PAGES = [ROOT / "README.rst", *sorted((ROOT / "docs").glob("*.rst"))]
PAGES += sorted((ROOT / "docs" / "howto").glob("*.rst"))
REFERENCE = (ROOT / "docs" / "reference.rst").read_text(encoding="utf-8")

#: The contract: what users import. Each is in the reference, and each is there.
PUBLIC_NAMES = [
    "admin.AsyncImageAdminMixin",
    "admin.AsyncImageAdminMixin.async_uploads",
    "forms.AsyncImageFormMixin",
    "forms.AsyncImageFormMixin.async_fields",
    "forms.AsyncImageFormMixin.get_async_fields",
    "forms.AsyncImageFormMixin.image_widget",
    "forms.AsyncImageFormMixin.save",
    "forms.AsyncImageModelForm",
    "layout.AsyncImage",
    "models.Upload",
    "models.Upload.get_field",
    "models.Upload.get_instance",
    "models.Upload.get_model",
    "models.Upload.objects",
    "models.Upload.open_staged",
    "models.Upload.using",
    "models.UploadQuerySet",
    "models.UploadQuerySet.discard",
    "models.UploadQuerySet.failed",
    "models.UploadQuerySet.for_instance",
    "models.UploadQuerySet.pending",
    "signals.image_failed",
    "signals.image_saved",
    "status.image_status",
    "status.prefetch_uploads",
    "storage.DatabaseStorage",
    "storage.StagingFileSystemStorage",
    "tasks.recover_uploads",
    "tasks.save_image_task",
    "test.save_pending_uploads",
    "uploadhandler.FlushingFileUploadHandler",
    "uploads.deconstruct",
    "uploads.reconstruct",
    "uploads.save_image",
    "views.AsyncImageCreateView",
    "views.AsyncImageUpdateView",
    "views.AsyncImageViewMixin",
    "views.AsyncImageViewMixin.fallback_template_name",
    "views.AsyncImageViewMixin.get_form_class",
    "views.AsyncImageViewMixin.get_template_names",
    "widgets.AsyncImageInput",
]


def blocks(*languages):
    """Return the code blocks of all pages in one of these languages, each under page and line."""
    pattern = re.compile(
        rf"^(?P<indent> *)\.\. code-block:: (?:{'|'.join(map(re.escape, languages))})\n"
        r"(?:(?P=indent)   :\w+:.*\n)*"
        r"(?P<code>(?:\n|(?P=indent)   .*\n)+)",
        re.M,
    )
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start("code")) + 1
            where = f"{page.relative_to(ROOT)}:{line}"
            found.append(pytest.param(textwrap.dedent(match["code"]), where, id=where))
    return found


def documented_names():
    """Return the names of the package that the reference has a directive for."""
    names = set()
    pattern = r"^ *\.\. (?:auto|py:)\w+:: (django_async_forms\.[\w.]+)(?:\(.*\))?\n((?: +:.*\n)*)"
    for name, options in re.findall(pattern, REFERENCE, re.M):
        names.add(name)
        members = re.search(r":members: (.+)", options)
        names |= {f"{name}.{member}" for member in members[1].split(", ")} if members else set()
    return sorted(names)


def find(name):
    """Return the object of a dotted name."""
    module, *attributes = name.split(".")[1:]
    found = importlib.import_module(f"django_async_forms.{module}")
    for attribute in attributes:
        found = getattr(found, attribute)
    return found


def is_documented(name):
    return f"django_async_forms.{name}" in documented_names()


@pytest.mark.parametrize(("code", "where"), blocks("python"))
def test_each_python_block_compiles(code, where):
    compile(code, where, "exec")


@pytest.mark.parametrize(("code", "where"), blocks("python"))
def test_each_import_from_the_package_works(code, where):
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            ("django.", "django_async_forms.")
        ):
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), f"{where}: {node.module}.{alias.name}"


@pytest.mark.parametrize(("code", "where"), blocks("html+django"))
def test_each_template_compiles(code, where):
    engines["django"].from_string(code.replace('{% extends "base.html" %}', ""))


@pytest.mark.parametrize(("code", "where"), blocks("console"))
def test_each_command_of_manage_py_is_there(code, where):
    for line in re.findall(r"^\$ python manage\.py (.+)$", code, re.M):
        # startapp and the like are Django's own.
        assert shlex.split(line)[0] in get_commands(), f"{where}: {line}"


def test_there_are_blocks_to_look_at():
    assert len(blocks("python")) > 30
    assert len(blocks("html+django")) > 4
    assert len(blocks("console")) > 10


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_each_public_name_is_there_and_in_the_reference(name):
    find(f"django_async_forms.{name}")
    assert is_documented(name)


@pytest.mark.parametrize("name", documented_names())
def test_the_reference_names_public_names_only(name):
    assert name.removeprefix("django_async_forms.") in PUBLIC_NAMES


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_each_public_function_has_a_docstring(name):
    found = find(f"django_async_forms.{name}")
    assert inspect.getdoc(found) or not inspect.isroutine(found)


def test_each_setting_has_a_row_in_the_table():
    path = ROOT / "docs" / "_ext" / "settings_table.py"
    spec = importlib.util.spec_from_file_location("settings_table", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows = module.settings_rows()

    assert ".. settings-table::" in REFERENCE
    assert [key for key, _, _ in rows] == [field.name for field in fields(AsyncFormsSettings)]
    assert all(default and meaning.endswith(".") for _, default, meaning in rows)


def test_each_key_of_the_settings_that_a_page_names_is_there():
    keys = {field.name for field in fields(AsyncFormsSettings)}
    prefixes = ("MAX_ATTEMPTS", "RETRY_", "MAX_RETRY_", "PUBLISH_", "RESEND_", "KEEP_", "RECOVER_")
    for page in PAGES:
        for word in re.findall(r"``\"?([A-Z_]+)\"?``", page.read_text(encoding="utf-8")):
            assert not word.startswith(prefixes) or word in keys, f"{page.name}: {word}"


def test_each_system_check_is_in_the_reference():
    source = (PACKAGE / "checks.py").read_text(encoding="utf-8")
    ids = re.findall(r'id="django_async_forms\.([EW]\d{3})"', source)
    documented = re.findall(r"^``([EW]\d{3})``: ", REFERENCE, re.M)
    assert ids
    assert sorted(documented) == sorted(set(ids))
    for page in PAGES:
        named = re.findall(r"django_async_forms\.([EW]\d{3})", page.read_text(encoding="utf-8"))
        assert set(named) <= set(ids), page.name


def test_each_log_record_is_in_the_reference_with_its_level():
    records = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and getattr(node.func.value, "id", None) == "logger"
            ):
                level = node.func.attr.upper().replace("EXCEPTION", "ERROR")
                records.add((level, ast.literal_eval(node.args[0])))
    rows = re.findall(r"^   \* - ([A-Z]+)\n     - ``(.+)``\n", REFERENCE, re.M)
    assert set(rows) == records


def test_each_task_is_in_the_reference():
    from celery import current_app

    names = {name for name in current_app.tasks if name.startswith("django_async_forms.")}
    assert names == set(re.findall(r"^``(django_async_forms\.\w+)``$", REFERENCE, re.M))


def test_each_template_tag_is_in_the_reference():
    from django_async_forms.templatetags.async_forms import register

    names = {*register.tags, *register.filters}
    assert names == set(re.findall(r"^``{% (\w+) .*%}``$", REFERENCE, re.M)) - {"load"}


def test_each_subcommand_is_in_the_reference():
    from django_async_forms.management.commands.async_uploads import Command

    names = {name.removeprefix("handle_") for name in vars(Command) if name.startswith("handle_")}
    assert names == set(re.findall(r"manage\.py async_uploads (\w+)", REFERENCE))


def test_the_changelog_begins_with_this_version():
    changelog = (ROOT / "docs" / "changelog.rst").read_text(encoding="utf-8")
    assert re.search(r"^\d+\.\d+\.\d+$", changelog, re.M)[0] == django_async_forms.__version__
