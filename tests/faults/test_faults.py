"""A short run of the faults, with real processes, on one pair of engines for each database."""

import os
import shutil
import subprocess
import sys

import pytest

from tests import services
from tests.worker import ROOT

#: The broker and the storages for each database.
PAIRS = {
    "postgresql": ("--broker", "rabbitmq", "--staging", "database", "--s3"),
    "mariadb": ("--broker", "redis", "--staging", "files"),
}
#: The time limit on a slow and busy machine, in seconds. The run takes a minute.
DEADLINE = 600


@pytest.fixture
def engines():
    """The arguments for the database that the tests run on."""
    database = os.environ.get("TEST_DATABASE", "sqlite")
    if database not in PAIRS:
        pytest.skip(f"The short run is on a database server, and this is {database}.")
    broker = PAIRS[database][1]
    if broker == "redis" and not shutil.which("redis-server"):
        services.miss("redis: redis-server is not on PATH, and the faults stop their own server")
    if broker != "redis":
        services.need_broker(broker)
    return "--database", database, *PAIRS[database]


def test_no_committed_upload_is_lost_or_doubled_whatever_fails(engines):
    command = [sys.executable, "-m", "tests.faults", "--pace", "hurried"]
    command += ["--uploads", "270", "--seed", "1", *engines]
    # In this process group, so that an interrupt reaches it and it cleans up.
    assert subprocess.run(command, cwd=ROOT, timeout=DEADLINE, check=False).returncode == 0
