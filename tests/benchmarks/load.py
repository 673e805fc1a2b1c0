"""
Sixteen clients at once, through gunicorn: how long the slowest requests take.

Images that come with the form, against a view that receives the same bytes and discards them,
against a form that saves all but the image, and against the task that is written by hand. Drafts,
against the form without an image.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

from . import images
from .processes import Web, multipart
from .rounds import interleave
from .visitor import Visitor, give_back

CLIENTS = 16
STAGINGS = ["files", "database"]


def measure(results, places, sizes, requests, rounds, progress):
    """Each client makes that many ``requests`` in a round, one after the other."""
    database = places.database
    with ExitStack() as stack:
        servers = {
            staging: stack.enter_context(Web(places, database=database, staging=staging))
            for staging in STAGINGS
        }
        pool = stack.enter_context(ThreadPoolExecutor(CLIENTS))

        def with_image(server, path, form):
            try:
                return _post(pool, servers[server], path, [[form] * requests] * CLIENTS)
            finally:
                places.empty(database)

        for size in sizes:
            form = multipart(images.image(size))
            prefix = ("load", images.label(size))
            cases = {
                "received and discarded": partial(with_image, "files", "/discarded/", form),
                "saved without the image": partial(with_image, "files", "/title/", form),
                "files": partial(with_image, "files", "/async/", form),
                "database": partial(with_image, "database", "/async/", form),
                "by hand": partial(with_image, "files", "/by-hand/", form),
            }
            interleave(results, prefix, cases, rounds, progress)
            os.sync()  # The drafts do not wait for these bytes.
            cases = {}
            for staging in STAGINGS:
                with places.use(database, staging=staging):
                    visitors = _Visitors(database, images.image(size), requests)
                cases.setdefault("no image", partial(visitors.post_nothing, pool, servers[staging]))
                cases[f"{staging}, a draft"] = partial(visitors.post_drafts, pool, servers[staging])
            interleave(results, prefix, cases, rounds, progress)
            places.empty(database)


def _post(pool, server, path, forms, cookies=("",) * CLIENTS):
    """Post the list of forms of each client; return the seconds of each request."""

    def visit(number):
        return [server.time(path, *form, cookie=cookies[number]) for form in forms[number]]

    return [seconds for times in pool.map(visit, range(CLIENTS)) for seconds in times]


class _Visitors:
    """The clients, and the drafts that each of them has sent."""

    def __init__(self, database, data, requests):
        self._database = database
        self._visitors = [Visitor(database) for _ in range(CLIENTS)]
        self._cookies = [visitor.cookie for visitor in self._visitors]
        self._drafts = [[visitor.send(data) for _ in range(requests)] for visitor in self._visitors]

    def post_nothing(self, pool, server):
        forms = [[multipart(None)] * len(drafts) for drafts in self._drafts]
        return _post(pool, server, "/drafted/", forms, self._cookies)

    def post_drafts(self, pool, server):
        forms = [
            [multipart(None, draft=visitor.token(draft)) for draft in drafts]
            for visitor, drafts in zip(self._visitors, self._drafts, strict=True)
        ]
        seconds = _post(pool, server, "/drafted/", forms, self._cookies)
        give_back([draft for drafts in self._drafts for draft in drafts], self._database)
        return seconds
