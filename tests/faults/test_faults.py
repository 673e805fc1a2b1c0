"""A short run of the faults: with real processes, in a hurry, on one pair of engines a database."""

import os
import shutil
import subprocess
import sys

import pytest

from tests import services
from tests.worker import ROOT

#: What each database is tried with.
PAIRS = {
    "postgresql": ("--broker", "rabbitmq", "--staging", "database", "--s3"),
    "mariadb": ("--broker", "redis", "--staging", "files"),
}
#: How long it may take on a slow and busy machine, in seconds; it takes a minute.
DEADLINE = 600


@pytest.fixture
def engines():
    """The arguments for the database that the tests run on."""
    database = os.environ.get("TEST_DATABASE", "sqlite")
    if database not in PAIRS:
        pytest.skip(f"The faults need a database server, and this is {database}.")
    broker = PAIRS[database][1]
    if broker == "redis" and not shutil.which("redis-server"):
        services.miss("redis: redis-server is not on PATH, and the faults stop one of their own")
    if broker != "redis":
        services.need_broker(broker)
    return "--database", database, *PAIRS[database]


def test_no_committed_upload_is_lost_or_doubled_whatever_fails(engines):
    command = [sys.executable, "-m", "tests.faults", "--pace", "hurried"]
    command += ["--uploads", "270", "--seed", "1", *engines]
    # In this process group: an interrupt reaches it as well, and it removes what it has made.
    done = subprocess.run(command, cwd=ROOT, timeout=DEADLINE, check=False)
    assert done.returncode == 0
