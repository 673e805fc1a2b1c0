"""
``pytest --fast``: the files of this folder, without the tests that commit.

Django empties all tables after a test that commits, and each test with a worker is one, because
another process sees only what is committed. What is left out is said at the end.
"""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parent

FOLDERS = pytest.StashKey[list[str]]()
TESTS = pytest.StashKey[int]()


def pytest_addoption(parser):
    parser.addoption(
        "--fast", action="store_true", help="leave out the folders, and the tests that commit"
    )


def pytest_configure(config):
    config.stash[FOLDERS] = []
    config.stash[TESTS] = 0


def pytest_ignore_collect(collection_path, config):
    """Leave out the folders, unless the command line names what to run."""
    if not config.getoption("fast") or config.args_source is config.ArgsSource.ARGS:
        return None
    if collection_path.parent != FOLDER or not any(collection_path.glob("test_*.py")):
        return None
    config.stash[FOLDERS].append(f"tests/{collection_path.name}")
    return True


def commits(item):
    """Tell whether a test runs without a transaction around it."""
    marker = item.get_closest_marker("django_db")
    return "transactional_db" in item.fixturenames or (
        marker is not None and marker.kwargs.get("transaction", False)
    )


def pytest_collection_modifyitems(config, items):
    if config.getoption("fast"):
        left_out = [item for item in items if commits(item)]
        config.stash[TESTS] = len(left_out)
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not commits(item)]


def pytest_terminal_summary(terminalreporter, config):
    if config.getoption("fast"):
        left_out = [*sorted(config.stash[FOLDERS]), f"{config.stash[TESTS]} tests that commit"]
        terminalreporter.line(f"left out: {', '.join(left_out)}")
