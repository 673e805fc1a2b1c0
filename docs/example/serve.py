"""Serves the example until it is stopped, or checks it. Called by ``run``."""

import argparse
import fcntl
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from services import HERE, STOP_SIGNALS, Failed, running


def prepare():
    """Make the folders and the tables, and somebody who may enter the admin."""
    import django

    django.setup()
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    for folder in (settings.FILE_UPLOAD_TEMP_DIR, settings.DATA / "broker" / "control"):
        folder.mkdir(parents=True, exist_ok=True)
    call_command("migrate", verbosity=0)
    users = get_user_model().objects
    if not users.filter(username="admin").exists():
        users.create_superuser("admin", password="admin")


def free_port(wanted):
    """Return the first of the wanted ports that nobody listens on; 0 stands for any."""
    for port in wanted:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise Failed(f"Port {wanted[0]} is taken. Choose another, or leave --port out.")


@contextmanager
def only_one(data):
    """Hold the data folder, so that a second site does not work on the same files."""
    with (data / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Failed(f"The example runs already: {lock.read() or 'it is starting.'}") from None
        lock.truncate(0)
        yield lock


def serve(data, port):
    data.mkdir(exist_ok=True)
    with only_one(data) as lock:
        port = free_port([port] if port else [8000, 0])
        prepare()
        with running(data, port) as started:
            address = f"http://127.0.0.1:{port}/"
            print(address, file=lock, flush=True)
            print(f"Photos          {address}")
            print(f"Side by side    {address}compare/")
            print(f"Admin           {address}admin/   (user admin, password admin)")
            print(f"Logs            {data}/site.log, worker.log")
            print("Ctrl-C stops the site and its worker.", flush=True)
            while True:
                for service in started:
                    service.check()
                time.sleep(0.2)


def check(data, port):
    prepare()
    from check import check_site

    port = free_port([port or 0])
    with running(data, port) as started:
        check_site(f"http://127.0.0.1:{port}/", data, started)


def stop(number, frame):
    # That is how a site ends. A check that was cut short has not succeeded.
    raise SystemExit(128 + number if options.check else 0)


parser = argparse.ArgumentParser(
    prog="docs/example/run", description="Run the example site and its worker."
)
parser.add_argument(
    "--check", action="store_true", help="post a photograph, say how long it took, and stop"
)
parser.add_argument("--port", type=int, help="port of the site; 8000, or a free one, if left out")

if __name__ == "__main__":
    options = parser.parse_args()
    for number in STOP_SIGNALS:
        signal.signal(number, stop)
    data = Path(tempfile.mkdtemp(prefix="example_")) if options.check else HERE / "data"
    os.environ.update(
        DJANGO_SETTINGS_MODULE="project.settings", EXAMPLE_DATA=str(data), PYTHONUNBUFFERED="1"
    )
    try:
        (check if options.check else serve)(data, options.port)
    except Failed as error:
        sys.exit(str(error))
    finally:
        if options.check:
            shutil.rmtree(data)
