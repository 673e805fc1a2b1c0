"""The whole request through gunicorn, from POST to redirect, for one client."""

from contextlib import ExitStack

from . import images
from .processes import Web, multipart
from .rounds import interleave

#: The cases: the staging storage of the server, the path, and whether the image goes with it.
CASES = {
    "no image": ("files", "/async/", False),
    "parse and validate only": ("files", "/validated/", True),
    "files": ("files", "/async/", True),
    "files as they arrive": ("files, arriving", "/async/", True),
    "database": ("database", "/async/", True),
    "by hand": ("files", "/by-hand/", True),
    "plain, local disk": ("files", "/plain/", True),
    "plain, 50 ms away": ("files", "/distant-50/", True),
    "plain, 200 ms away": ("files", "/distant-200/", True),
}


def measure(results, places, size, rounds, progress):
    """Post one form at a time, in each way in turn."""
    with_image, without = multipart(images.image(size)), multipart(None)
    with ExitStack() as stack:
        servers = {
            staging: stack.enter_context(
                Web(
                    places,
                    database=places.database,
                    staging=staging,
                    handler="flushing" if "arriving" in staging else "",
                )
            )
            for staging in {staging for staging, _path, _has_image in CASES.values()}
        }
        cases = {}
        for name, (staging, path, has_image) in CASES.items():
            form = with_image if has_image else without
            cases[name] = lambda server=servers[staging], path=path, form=form: server.time(
                path, *form
            )
        prefix = ("request", images.label(size))
        interleave(results, prefix, cases, rounds, progress, warm_up=2)
    places.empty(places.database)
