"""The engines that a user's settings name: what a run refuses, and that it leaves nothing there."""

import os
import subprocess
import sys
from textwrap import dedent

import pytest
from redis import Redis

from tests import services
from tests.worker import ROOT

from .__main__ import parse
from .errors import SettingsError
from .harness import Harness

GOOD = """
    DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1"}}
    CELERY_BROKER_URL = "redis://127.0.0.1:6379/0"
    MEDIA_ROOT = FOLDER + "/media"
"""
STORAGE = 'STORAGES = {"default": {"BACKEND": "storages_of_mine.Storage"}}'
#: The time limit of a command on a slow and busy machine, in seconds.
DEADLINE = 300


@pytest.fixture
def settings_file(tmp_path):
    """Write a settings file with good settings and other lines after them; return its path."""

    def write(*lines, good=GOOD):
        file = tmp_path / "engines.py"
        file.write_text("\n".join([f"FOLDER = {str(tmp_path)!r}", dedent(good), *lines]))
        return str(file)

    return write


def run(*arguments):
    command = [sys.executable, "-m", "tests.faults", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=False
    )


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
        ("import nothing_like_this", "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_settings_that_a_run_cannot_use_are_named(settings_file, line, text):
    with pytest.raises(SettingsError) as caught:
        Harness(parse(["--settings", settings_file(line)]))

    assert text in str(caught.value)


def test_quorum_queues_need_a_virtual_host_because_celery_declares_others_with_them(settings_file):
    lines = 'CELERY_BROKER_URL = "amqp://127.0.0.1//"', 'CELERY_TASK_DEFAULT_QUEUE_TYPE = "quorum"'

    with pytest.raises(SettingsError, match="Name a virtual host for the run"):
        Harness(parse(["--settings", settings_file(*lines)]))


@pytest.mark.parametrize("option", ["--replica", "--small-disks", "--queue-type=quorum"])
def test_an_option_that_starts_a_server_is_refused_with_settings(settings_file, option, capsys):
    with pytest.raises(SystemExit):
        parse(["--settings", settings_file(), option])

    assert "--settings names all servers" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--isolation=serializable", "--hosts"])
def test_an_option_that_needs_a_database_server_is_refused_with_sqlite(option, capsys):
    with pytest.raises(SystemExit):
        parse(["--database", "sqlite", option])

    assert "SQLite is a file" in capsys.readouterr().err


def test_a_broker_that_does_not_answer_is_named(settings_file):
    result = run("--settings", settings_file('CELERY_BROKER_URL = "amqp://127.0.0.1:1//"'))

    assert result.returncode == 2
    assert "CELERY_BROKER_URL: 127.0.0.1:1 does not answer" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("base", "body", "text"),
    [
        ("Base", "pass", "storages_of_mine.Storage has no option location"),
        (
            "FileSystemStorage",
            "base_location = location = '/tmp'",
            "the run would leave its own folder",
        ),
        (
            "FileSystemStorage",
            "get_available_name = lambda self, name, **kwargs: self.delete(name) or name",
            "it overwrites a file of the same name",
        ),
        ("FileSystemStorage", "listdir = Base.listdir", "cannot be used: NotImplementedError"),
    ],
    ids=["no location", "outside of its location", "overwrites", "no list"],
)
def test_a_storage_in_which_a_run_has_no_place_of_its_own_is_refused(
    settings_file, tmp_path, base, body, text
):
    (tmp_path / "storages_of_mine.py").write_text(
        "from django.core.files.storage import FileSystemStorage, Storage as Base\n"
        f"class Storage({base}):\n    {body}\n"
    )
    result = run("--settings", settings_file(STORAGE))

    assert result.returncode == 2
    assert 'STORAGES["default"] cannot be used: ' in result.stderr
    assert text in result.stderr
    assert not list((tmp_path / "media").rglob("*.txt"))


def test_a_run_leaves_nothing_on_the_engines_that_it_was_given(settings_file, tmp_path):
    if os.environ.get("TEST_DATABASE") != "postgresql":
        pytest.skip("Its engines are PostgreSQL and Redis.")
    services.need_broker("redis")
    settings = settings_file(
        f"CELERY_BROKER_URL = {services.BROKERS['redis']!r}",
        'CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": "mine:"}',
        'DATABASES["default"]["USER"] = "postgres"',
        'STORAGES = {"default": {"BACKEND": "django.core.files.storage.FileSystemStorage"}}',
        "STORAGES['async_forms'] = {",
        '    "BACKEND": "django_async_forms.storage.StagingFileSystemStorage",',
        '    "OPTIONS": {"location": FOLDER + "/staged"},',
        "}",
    )
    for name in ("media", "staged"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.jpg").write_text("mine")
    options = ["--pace", "hurried", "--uploads", "12", "--only", "database", "--seed", "1"]
    result = run("--settings", settings, *options)

    assert "uploads committed" in result.stdout, result.stderr
    assert "left out: servers killed: others may use them" in result.stdout
    for name in ("media", "staged"):
        assert [file.name for file in (tmp_path / name).iterdir()] == ["mine.jpg"]
    with Redis.from_url(services.BROKERS["redis"]) as redis:
        assert not list(redis.scan_iter("mine:faults_*"))
