"""
The whole request through gunicorn, to the answer's last byte, while the broker says nothing.

The silent broker accepts connections. With ``PUBLISH_PAUSE`` as it is, a server asks it once in
five seconds. The server that always asks has no pause.
"""

import json
import socket
from contextlib import ExitStack, contextmanager

from tests import services

from . import images
from .processes import Web, multipart
from .rounds import interleave

SERVERS = {
    "broker up": {"async_forms": "{}"},
    "broker silent": {"broker": "silent", "async_forms": "{}"},
    "broker silent, always asked": {
        "broker": "silent",
        "async_forms": json.dumps({"PUBLISH_PAUSE": 0.001}),
    },
}


def measure(results, places, size, rounds, progress):
    """Post one form at a time to each server in turn."""
    form = multipart(images.image(size))
    chosen = {"database": places.database, "staging": "files"}
    with ExitStack() as stack:
        with _silent_broker(places, stack):
            servers = {
                name: stack.enter_context(Web(places, **chosen, **others))
                for name, others in SERVERS.items()
            }
        cases = {
            name: lambda server=server: server.time("/async/", *form)
            for name, server in servers.items()
        }
        prefix = ("silent-broker", images.label(size))
        interleave(results, prefix, cases, rounds, progress, warm_up=5)
    places.empty(places.database)


@contextmanager
def _silent_broker(places, stack):
    """Give the servers that are started within the block a broker that is silent until the end."""
    silent = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1000))
    url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
    places.brokers["silent"] = services.Broker("redis", url, "silent")
    try:
        yield
    finally:
        del places.brokers["silent"]
