"""The engines that a user's settings name: what a run refuses, and that it leaves nothing there."""

import subprocess
import sys
from textwrap import dedent

import pytest

from tests.worker import ROOT

GOOD = """
    DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1"}}
    CELERY_BROKER_URL = "redis://127.0.0.1:6379/0"
    MEDIA_ROOT = FOLDER + "/media"
"""
STORAGE = 'STORAGES = {"default": {"BACKEND": "storages_of_mine.Storage"}}'
#: Storages of a project, in a module beside its settings.
MODULE = """
from django.core.files.storage import FileSystemStorage, Storage as Base

class Storage({base}):
    {body}
"""


@pytest.fixture
def refused(tmp_path):
    """Run the command with settings; return what it says as it refuses them."""

    def run(*lines, good=GOOD, storage=None):
        if storage:
            (tmp_path / "storages_of_mine.py").write_text(MODULE.format(**storage))
        file = tmp_path / "engines.py"
        file.write_text("\n".join([f"FOLDER = {str(tmp_path)!r}", dedent(good), *lines]))
        command = [sys.executable, "-m", "tests.faults", "--settings", str(file)]
        result = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
        )
        assert result.returncode == 2, result.stderr
        assert "Traceback" not in result.stderr
        return result.stderr

    return run


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("DATABASES = {}", 'has no DATABASES["default"]'),
        (
            'DATABASES["default"]["ENGINE"] = "django.db.backends.sqlite3"',
            'DATABASES["default"]["ENGINE"] is \'django.db.backends.sqlite3\'',
        ),
        ('DATABASES["default"]["HOST"] = "one,two"', 'DATABASES["default"]["HOST"] is \'one,two\''),
        ("CELERY_BROKER_URL = None", "has no CELERY_BROKER_URL"),
        ('CELERY_BROKER_URL = "sqs://"', "CELERY_BROKER_URL begins with 'sqs'"),
        ('CELERY_BROKER_URL = ["amqp://one", "amqp://two"]', "Name one broker"),
        ('CELERY_BROKER_WRITE_URL = "amqp://other"', "CELERY_BROKER_WRITE_URL names another"),
        ("MEDIA_ROOT = None", 'has neither STORAGES["default"] nor MEDIA_ROOT'),
        ('STORAGES = {"default": {}}', 'STORAGES["default"] has no "BACKEND"'),
        ('STORAGES = {"default": {"BACKEND": "no.Storage"}}', "no.Storage cannot be used"),
        ("import nothing_like_this", "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_settings_that_a_run_cannot_use_are_named(refused, line, text):
    assert text in refused(line)


def test_a_broker_that_does_not_answer_is_named(refused):
    text = refused('CELERY_BROKER_URL = "amqp://127.0.0.1:1//"')

    assert "CELERY_BROKER_URL: 127.0.0.1:1 does not answer" in text


def test_quorum_queues_need_a_virtual_host_because_celery_declares_others_with_them(refused):
    text = refused(
        'CELERY_BROKER_URL = "amqp://127.0.0.1//"', 'CELERY_TASK_DEFAULT_QUEUE_TYPE = "quorum"'
    )

    assert "Name a virtual host for the run" in text


@pytest.mark.parametrize(
    ("storage", "text"),
    [
        (
            {"base": "Base", "body": "pass"},
            "storages_of_mine.Storage has no option location",
        ),
        (
            {"base": "FileSystemStorage", "body": "base_location = location = '/tmp'"},
            "the run would leave its own folder",
        ),
        (
            {
                "base": "FileSystemStorage",
                "body": "get_available_name = lambda self, name, **kwargs: "
                "self.exists(name) and self.delete(name) or name",
            },
            "it overwrites a file of the same name",
        ),
        (
            {"base": "FileSystemStorage", "body": "listdir = Base.listdir"},
            'STORAGES["default"] cannot be used: NotImplementedError',
        ),
    ],
    ids=["no location", "outside of its location", "overwrites", "no list"],
)
def test_a_storage_in_which_a_run_has_no_place_of_its_own_is_refused(
    refused, tmp_path, storage, text
):
    assert text in refused(STORAGE, storage=storage)
    assert not list((tmp_path / "media").rglob("*.txt"))


@pytest.mark.parametrize("option", ["--replica", "--small-disks", "--queue-type=quorum"])
def test_an_option_that_starts_a_server_is_refused_with_settings(option):
    command = [sys.executable, "-m", "tests.faults", "--settings", "engines.py", option]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 2
    assert "--settings names all servers" in result.stderr
