"""The whole request through gunicorn, from POST to redirect, for one client and for 16."""

import json
import socket
import statistics
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from tests import services

from . import images
from .processes import Web, multipart
from .rounds import stopwatch

CLIENTS = [1, 16]
#: Without a pause, each request asks the silent broker.
ALWAYS = json.dumps({"PUBLISH_PAUSE": 0.001})
SERVERS = {
    "files": {"staging": "files"},
    "files, arriving": {"staging": "files", "handler": "flushing"},
    "files, no fsync": {"staging": "files, no fsync"},
    "files, RabbitMQ": {"staging": "files", "broker": "rabbitmq"},
    "files, broker down": {"staging": "files", "broker": "down", "async_forms": ALWAYS},
    "files, broker silent": {"staging": "files", "broker": "silent", "async_forms": ALWAYS},
    "database": {"staging": "database"},
}
#: The cases: (name, server, path, with the image).
CASES = [
    ("files", "files", "/async/", True),
    ("files as they arrive", "files, arriving", "/async/", True),
    ("files, RabbitMQ", "files, RabbitMQ", "/async/", True),
    ("files, broker down", "files, broker down", "/async/", True),
    ("files, broker silent", "files, broker silent", "/async/", True),
    ("files, no fsync", "files, no fsync", "/async/", True),
    ("database", "database", "/async/", True),
    ("no image", "files", "/async/", False),
    ("parse and validate only", "files", "/validated/", True),
    ("parse and validate only, as they arrive", "files, arriving", "/validated/", True),
    ("plain, local disk", "files", "/plain/", True),
    ("plain, 200 ms away", "files", "/distant-200/", True),
]


def measure(results, places, size, rounds, progress):
    """Measure each case in turn, on each database; a round is one request of each client."""
    with_image, without = multipart(images.image(size)), multipart(None)
    for database in places.databases:
        with ExitStack() as stack:
            with _broken_brokers(places, stack):
                servers = {
                    name: stack.enter_context(Web(places, database=database, **chosen))
                    for name, chosen in SERVERS.items()
                    if chosen.get("broker", places.broker.name) in places.brokers
                }
            cases = [case for case in CASES if case[1] in servers]
            for clients in CLIENTS:
                prefix = ("request", images.label(size), database, f"{clients} clients")
                with ThreadPoolExecutor(clients) as pool:
                    for number in range(-2, rounds if clients == 1 else max(3, rounds // 3)):
                        for name, server, path, has_image in cases:
                            progress(f"{' '.join(prefix)} {name}")
                            form = with_image if has_image else without
                            post = [(servers[server], path, form)] * clients
                            for seconds in pool.map(_time, post):
                                if number >= 0:
                                    results.note(*prefix, name, value=seconds)
                places.empty(database)


@contextmanager
def _broken_brokers(places, stack):
    """
    Give servers a broker that refuses connections, and one that accepts them and never answers.

    Only servers that are started within the block use them, until the stack ends.
    """
    down = socket.create_server(("127.0.0.1", 0))
    silent = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1000))
    ports = {"down": down.getsockname()[1], "silent": silent.getsockname()[1]}
    down.close()
    for name, port in ports.items():
        places.brokers[name] = services.Broker("redis", f"redis://127.0.0.1:{port}/0", name)
    try:
        yield
    finally:
        for name in ports:
            del places.brokers[name]


def percentiles(values):
    """Return p50, p95 and p99. With few values, the last two are the largest value."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[94], cuts[98]


def _time(post):
    server, path, (content_type, body) = post
    with stopwatch() as watch:
        server.post(path, content_type, body)
    return watch.seconds
