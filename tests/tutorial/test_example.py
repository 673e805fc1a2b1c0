"""The example says what it does, explains what is in its way, and leaves nothing behind."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from tests.example import Example, running
from tests.pages import ROOT

DUNE = ROOT / "docs" / "images" / "create.jpg"


@pytest.fixture
def taken_port():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def add_photo(address):
    session = requests.Session()
    session.trust_env = False  # No proxy between this machine and itself.
    page = session.get(f"{address}photos/add/")
    with DUNE.open("rb") as file:
        answer = submit(session, page, title="Dune", files={"image": file})
    assert answer.status_code == 200 and answer.history, answer.text


def submit(session, page, *, files=None, **data):
    """Submit the form of a page with its hidden inputs; return the answer."""
    hidden = re.findall(r'<input type="hidden" name="([\w-]+)" value="([^"]+)"', page.text)
    return session.post(page.url, {**dict(hidden), **data}, files=files)


def test_the_example_says_what_it_starts(tmp_path):
    with running(tmp_path) as example:
        steps = re.findall(r"^.+…$", example.printed(), re.MULTILINE)

    assert steps == ["Making the tables…", "Starting the worker…", "Starting the site…"]


def test_a_form_of_the_example_that_comes_back_keeps_its_image(tmp_path):
    session = requests.Session()
    session.trust_env = False
    with running(tmp_path) as example, DUNE.open("rb") as file:
        page = session.get(f"{example.address}photos/add/")
        page = submit(session, page, title="", files={"image": file})
        shown = session.get(urljoin(page.url, re.search(r'src="(/uploads/[^"]+)"', page.text)[1]))
        saved = submit(session, page, title="Dune")

    assert shown.content == DUNE.read_bytes()
    assert saved.history, saved.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_example_leaves_no_process_when_it_is_stopped(tmp_path, number):
    with running(tmp_path) as example:
        assert example.processes()
        example.send(number)
        status = example.wait()

    assert (status, example.processes()) == (0, [])


def test_the_example_leaves_no_process_when_it_is_stopped_while_it_starts(tmp_path):
    example = Example(tmp_path)
    example.wait_until_it_prints("Starting the site…")
    example.send(signal.SIGINT)

    assert (example.wait(), example.processes()) == (0, [])


def test_ctrl_c_lets_the_worker_finish_and_says_so(tmp_path):
    with running(tmp_path) as example:
        add_photo(example.address)
        example.send(signal.SIGINT)
        example.wait()

    assert "The worker is still saving 1 image. Ctrl-C again" in example.printed()
    assert len(list(example.data.glob("media/photos/*"))) == 1


def test_a_second_ctrl_c_ends_the_example_at_once(tmp_path):
    with running(tmp_path, seconds=600) as example:
        add_photo(example.address)
        example.send(signal.SIGINT)
        example.wait_until_it_prints("Ctrl-C again")
        example.send(signal.SIGINT)
        example.process.wait(5)

    assert example.processes() == []
    assert list(example.data.glob("staging/*"))


def test_the_example_says_which_port_is_taken_and_what_to_do(tmp_path, taken_port):
    example = Example(tmp_path, "--port", str(taken_port))

    assert example.wait() == 1
    assert re.fullmatch(
        f"Another program uses port {taken_port}. "
        r"Choose another, such as --port \d+, or leave --port out.\n",
        example.printed(),
    )


def test_a_second_example_says_where_the_first_one_runs(tmp_path):
    with running(tmp_path) as first:
        printed = first.printed()
        second = subprocess.run(
            [sys.executable, ROOT / "docs" / "example" / "serve.py"],
            env={**os.environ, "EXAMPLE_DATA": str(first.data), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 1
        assert second.stderr == f"The example is running already, at {first.address}.\n"
    assert printed in first.printed()


# What makes the environment.


def environment_with(tmp_path, script):
    """Run ``.ci/venv`` in a copy of its repository where ``python3`` is a script."""
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "dirname", "awk", "cksum", "cat", "tr", "rm", "env"):
        (tools / tool).symlink_to(shutil.which(tool))
    if script:
        (tools / "python3").write_text(f"#!/bin/sh\n{script}\n")
        (tools / "python3").chmod(0o755)
    return subprocess.run(
        [tmp_path / ".ci" / "venv", "example", "example"],
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_environment_names_a_python_that_is_too_old(tmp_path):
    old = 'case "$1" in -V) echo "Python 3.8.10";; *) exit 1;; esac'
    ended = environment_with(tmp_path, old)

    assert ended.returncode == 1
    assert "needs Python 3.10 or newer, but python3 is Python 3.8.10." in ended.stderr


def test_the_environment_says_that_there_is_no_python(tmp_path):
    ended = environment_with(tmp_path, None)

    assert ended.returncode == 1
    assert "there is no working python3 on PATH" in ended.stderr


def test_the_environment_says_what_to_install_where_ensurepip_is_missing(tmp_path):
    missing = tmp_path / "without"
    missing.mkdir()
    (missing / "ensurepip.py").write_text('raise ImportError("as in Debian without python3-venv")')
    python = Path(sys.executable).resolve()
    ended = environment_with(tmp_path, f'PYTHONPATH="{missing}" exec "{python}" "$@"')

    assert ended.returncode == 1
    assert "apt install python3-venv" in ended.stderr
    assert "creating" not in ended.stderr
