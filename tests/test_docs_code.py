"""Every block of code in the documentation compiles, and its names exist."""

import ast
import configparser
import importlib
import json
import re
import shlex
import subprocess

import django
import pytest
from django.core.management import get_commands, load_command_class
from django.template import engines

from tests.pages import PAGES, Block, blocks

#: Commands of libraries that the tests do not have in INSTALLED_APPS.
LIBRARY_COMMANDS = ["db_worker"]


def check_python(block):
    tree = compile(block.code, str(block), "exec", ast.PyCF_ONLY_AST)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            ("django.", "django_async_forms.", "celery")
        ):
            if node.module == "django.tasks" and django.VERSION < (6, 0):
                continue
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module}.{alias.name}"


def check_template(block):
    engines["django"].from_string(block.code.replace('{% extends "base.html" %}', ""))


def check_shell(block):
    subprocess.run(["bash", "-n"], input=block.code, text=True, check=True)


def check_console(block):
    """
    Commands begin with a dollar sign. Their output and input is text.

    A block that begins with dots, or with ^C, continues an earlier one.
    """
    commands = re.findall(r"^\$ (.+(?:\\\n.+)*)$", block.code, re.M)
    assert commands or block.code.startswith(("...\n", "^C\n"))
    for command in commands:
        if "[--" not in command:  # The synopses of the reference.
            check_shell(Block(block.page, block.line, "shell", command))
        name = re.match(r"python manage\.py (\w+)", command)
        if name:
            assert name[1] in {*get_commands(), *LIBRARY_COMMANDS}
        if name and name[1] == "async_uploads" and "[--" not in command:
            parser = load_command_class("django_async_forms", "async_uploads").create_parser(
                "manage.py", "async_uploads"
            )
            arguments = shlex.split(command)[3:]
            known = [word for word in arguments if word not in ("--database", "shard1")]
            parser.parse_args(known)


def check_json(block):
    json.loads(block.code)


def check_ini(block):
    configparser.RawConfigParser(strict=False).read_string(block.code)


def check_yaml(block):
    yaml = importlib.import_module("yaml")
    list(yaml.safe_load_all(block.code))


def check_nothing(block):
    """The build of the pages reads the block with the lexer of its language, and reports errors."""


CHECKS = {
    "python": check_python,
    "html+django": check_template,
    "console": check_console,
    "shell": check_shell,
    "bash": check_shell,
    "json": check_json,
    "ini": check_ini,
    "yaml": check_yaml,
    "css": check_nothing,
    "javascript": check_nothing,
    "nginx": check_nothing,
    "text": check_nothing,
}


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_each_block_has_a_known_language_and_is_correct(block):
    CHECKS[block.language](block)


def test_no_block_is_overlooked():
    directives = sum(
        len(re.findall(r"^ *\.\. (?:code-block|code|sourcecode)::", page.read_text("utf-8"), re.M))
        for page in PAGES
    )
    assert len(blocks()) == directives > 80
    assert all(block.code.strip() for block in blocks())
