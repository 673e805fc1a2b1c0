"""A network with a round-trip time: ``python -m tests.benchmarks.distance PORT TARGET SECONDS``."""

import queue
import socket
import sys
import threading
import time
from contextlib import suppress
from functools import partial


def main(port, target, seconds):
    """Forward each connection to ``target``. Half of the time passes on the way, half on return."""
    host, _, target_port = target.rpartition(":")
    server = socket.create_server(("127.0.0.1", int(port)), backlog=100)
    while True:
        near, _address = server.accept()
        far = socket.create_connection((host, int(target_port)))
        for source, sink in ((near, far), (far, near)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Bytes leave while others are on their way, so the distance costs no bandwidth.
            on_their_way = queue.SimpleQueue()
            receive = partial(_receive, source, on_their_way, float(seconds) / 2)
            for work in (receive, partial(_send, sink, on_their_way)):
                threading.Thread(target=work, daemon=True).start()


def _receive(source, on_their_way, seconds):
    data = b" "
    while data:
        try:
            data = source.recv(2**20)
        except OSError:
            data = b""
        on_their_way.put((time.perf_counter() + seconds, data))


def _send(sink, on_their_way):
    with suppress(OSError):
        while True:
            due, data = on_their_way.get()
            time.sleep(max(0, due - time.perf_counter()))
            if not data:
                return sink.shutdown(socket.SHUT_WR)
            sink.sendall(data)


if __name__ == "__main__":
    main(*sys.argv[1:])
