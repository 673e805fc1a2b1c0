"""Does the steps of a page in a folder, in place of its reader."""

import os
import shlex
import site
import socket
import sys

import pytest

from tests import services
from tests.tutorial.page import AT_THE_END, Commands, File, Reload, Save, SaveAgain, Seen, Try
from tests.tutorial.terminal import Terminal

#: The folder that the first commands of the tutorial make.
PROJECT = "photosite"
#: A command that has to load its broker's library first may take longer than the default, and then
#: says that it leaves the message to recovery.
AS_SHOWN = 'ASYNC_FORMS = {"MAX_ATTEMPTS": 2}'
ON_A_BUSY_MACHINE = 'ASYNC_FORMS = {"MAX_ATTEMPTS": 2, "PUBLISH_TIMEOUT": 10}'


class Walk:
    """A walk through the sections of a page, each of which needs those before it."""

    def __init__(self, sections, folder, visitor=None):
        self.project = folder / PROJECT
        self._sections = iter(sections)
        self._failed = None
        self._folder = folder
        self._visitor = visitor
        self._terminals = {}
        self._broker = None
        self._port = _free_port()

    def up_to(self, wanted):
        """Do all that was not done yet, up to the end of a section."""
        if self._failed:
            pytest.fail(f"“{self._failed.title}” has failed before.")
        for section in self._sections:
            if section.needs:
                services.need_broker(section.needs)
                self._broker = services.Broker(section.needs, services.BROKERS[section.needs])
            try:
                for step in section.steps:
                    self._do(step)
            except BaseException:
                self._failed = section
                raise
            if section == wanted:
                return

    def close(self):
        for terminal in self._terminals.values():
            terminal.close()
        if self._broker:
            self._broker.remove()

    def _do(self, step):
        match step:
            case Commands():
                self._type(self._terminal(step.terminal), step)
            case File():
                self._write(step)
            case Try():
                address, image = self._here(step.address), self.project / step.image
                self._visitor.try_to_save(address, step.title, image)
            case SaveAgain():
                self._visitor.save_again(step.title)
            case Save():
                self._visitor.save(self._here(step.address), step.title, self.project / step.image)
            case Seen():
                self._visitor.see(self._here(step.address), step.lines)
            case Reload():
                self._visitor.reload()

    def _terminal(self, name):
        """Return the terminal of that name, opened if it is not yet."""
        if name not in self._terminals:
            log = self._folder / f"{name}.log"
            self._terminals[name] = Terminal(self._folder, _environment(), log)
        return self._terminals[name]

    def _type(self, terminal, commands):
        for typed, printed in commands.parts():
            if typed == "^C":
                terminal.press_ctrl_c()
            elif typed:
                terminal.type(self._command(typed))
            if printed:
                terminal.expect(self._here(printed).splitlines())

    def _command(self, command):
        """Return what to type for a command. The package and all else is installed already."""
        here = shlex.quote(f"import site; site.addsitedir({site.getsitepackages()[0]!r})")
        instead = {
            "python3 -m venv venv": f"{sys.executable} -m venv --without-pip venv",
            "pip install django-async-forms sqlalchemy": (
                f'echo {here} >"$(echo venv/lib/python3*/site-packages)/here.pth"'
            ),
            'pip install "django-async-forms[redis]"': "python -c 'import redis'",
            "python manage.py runserver": f"python manage.py runserver {self._port}",
        }
        command = instead.get(command, command)
        assert not command.startswith("pip "), f"Nothing is downloaded here: {command}"
        return command

    def _here(self, text):
        """Return a text with the port that is free, where it has the usual one."""
        return text.replace("127.0.0.1:8000", f"127.0.0.1:{self._port}")

    def _write(self, file):
        path = self.project / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        text = file.text
        if file.how == AT_THE_END:
            text = f"{path.read_text()}\n{text}"
        elif file.how:
            lines = path.read_text().splitlines(keepends=True)
            [index] = [i for i, line in enumerate(lines) if line.startswith(f"{file.setting} = ")]
            lines[index] = self._with_keys_of_its_own(text)
            text = "".join(lines)
        path.write_text(text.replace(AS_SHOWN, ON_A_BUSY_MACHINE))

    def _with_keys_of_its_own(self, text):
        """Return the setting of a broker, which others than this test use at the same time."""
        options = f"CELERY_BROKER_TRANSPORT_OPTIONS = {self._broker.options}\n"
        return text.replace("redis://127.0.0.1:6379/0", self._broker.url) + options


def _environment():
    kept = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    kept["PATH"] = f"{os.path.dirname(sys.executable)}:{kept['PATH']}"
    return {**kept, "PYTHONUNBUFFERED": "1"}


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
