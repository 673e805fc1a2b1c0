"""
``python -m tests.benchmarks.bucket PORT``: an object store that takes any file and keeps none.

It speaks as much of S3 as ``S3Storage`` needs to save, and takes so little of the processor that
the rate of a store 50 ms away depends on the distance.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Bucket(BaseHTTPRequestHandler):
    """Answers each request of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_PUT(self):
        left = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, 2**20)))
        self._answer(200)

    def do_HEAD(self):
        self._answer(404)

    def _answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_request(self, *arguments):
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Bucket).serve_forever()
