"""Serves the example until it is stopped, or checks it. Called by ``run``."""

import argparse
import errno
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

from services import HERE, STOP_SIGNALS, Failed, running, say

HOST = "127.0.0.1"
USUAL_PORT = 8000


def prepare():
    """Make the folders and the tables, and somebody who may enter the admin."""
    say("Making the tables…")
    import django

    django.setup()
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from project import app

    for folder in (settings.FILE_UPLOAD_TEMP_DIR, settings.DATA / "broker" / "control"):
        folder.mkdir(parents=True, exist_ok=True)
    call_command("migrate", verbosity=0)
    users = get_user_model().objects
    if not users.filter(username="admin").exists():
        users.create_superuser("admin", password="admin")
    # Kombu makes the file of an exchange, and then writes it. The worker ends if it reads the file
    # between the two, so it is there before anything else is.
    with app.connection_for_write() as connection:
        queue = app.amqp.queues[app.conf.task_default_queue]
        queue.bind(connection.default_channel).declare()


def free_port():
    """Return a port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def usable_port(port):
    """Return the port if the site can listen on it; raise ``Failed`` if it cannot."""
    with socket.socket() as probe:
        # As the site does: connections that have ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError:
            raise Failed(f"Only root may use port {port}.") from None
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise Failed(f"Another program uses port {port}.") from None
    return port


def choose_port(wanted):
    """Return the wanted port, or without one the usual port, or a free one in its place."""
    try:
        return usable_port(wanted or USUAL_PORT)
    except Failed as error:
        if wanted:
            hint = f"Choose another, such as --port {free_port()}, or leave --port out."
            raise Failed(f"{error} {hint}") from None
        port = free_port()
        say(f"{error} The site takes port {port} instead.")
        return port


def port_number(text):
    """Return the value of --port."""
    port = int(text)
    if not 0 < port < 65536:
        raise argparse.ArgumentTypeError(f"{port} is not between 1 and 65535")
    return port


@contextmanager
def only_one(data):
    """Hold the data folder, so that a second site does not work on the same files."""
    with (data / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            address = lock.read().strip()
            where = f"at {address}" if address else "and is just starting"
            raise Failed(f"The example is running already, {where}.") from None
        lock.truncate(0)
        yield lock


def serve(data, port):
    data.mkdir(exist_ok=True)
    with only_one(data) as lock:
        port = choose_port(port)
        prepare()
        with running(data, port) as started:
            address = f"http://{HOST}:{port}/"
            print(address, file=lock, flush=True)
            say(
                "",
                f"Photos          {address}",
                f"Side by side    {address}compare/",
                f"Admin           {address}admin/   (user admin, password admin)",
                f"Logs            {data}/site.log, worker.log",
                "Ctrl-C stops the site and the worker.",
            )
            while True:
                for service in started:
                    service.check()
                time.sleep(0.2)


def check(data, port):
    port = choose_port(port or free_port())
    prepare()
    from check import check_site

    with running(data, port) as started:
        check_site(f"http://{HOST}:{port}/", data, started)


def stop(number, frame):
    # That is how a site ends. A check that was cut short has not succeeded.
    raise SystemExit(128 + number if options.check else 0)


parser = argparse.ArgumentParser(
    prog="docs/example/run", description="Run the example site and its worker."
)
parser.add_argument(
    "--check", action="store_true", help="post a photograph, say how long it took, and stop"
)
parser.add_argument(
    "--port", type=port_number, help=f"port of the site; defaults to {USUAL_PORT}, or a free one"
)

if __name__ == "__main__":
    options = parser.parse_args()
    for number in STOP_SIGNALS:
        signal.signal(number, stop)
    data = (
        Path(tempfile.mkdtemp(prefix="example_"))
        if options.check
        else Path(os.environ.get("EXAMPLE_DATA", HERE / "data"))
    )
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
