"""
The claim: a form whose image has arrived before it, against the same form without an image.

Once as far as the redirect, and once as far as the page that follows, which is what a person waits
for. That page has the empty form again.
"""

import http.client
import time
from functools import partial

from django_async_forms.models import Draft

from . import images
from .processes import Web, multipart
from .rounds import interleave, stopwatch
from .visitor import Visitor, give_back

STAGINGS = ["files", "database"]
#: The time that the server has for what it does after a response.
PAUSE = 0.01


def measure(results, places, sizes, rounds, progress):
    """Measure both forms in turn for each size, on each staging storage."""
    database = places.database
    for staging in STAGINGS:
        chosen = {"database": database, "staging": staging}
        with places.use(**chosen), Web(places, **chosen) as web:
            for size in sizes:
                prefix = ("claim", images.label(size), staging)
                visit = _Visit(web, database, images.image(size))
                cases = {
                    "redirect, no image": visit.post_nothing,
                    "redirect, a draft": visit.post_draft,
                    "page, no image": partial(visit.post_nothing, follow=True),
                    "page, a draft": partial(visit.post_draft, follow=True),
                }
                interleave(results, prefix, cases, rounds, progress, warm_up=3)
                visit.end()
                places.empty(database)


class _Visit:
    """A visitor whose image has arrived. Each form claims it, and then it is a draft again."""

    def __init__(self, web, database, data):
        self._web = web
        self._database = database
        self._visitor = Visitor(database)
        self._draft = self._visitor.send(data)

    def post_nothing(self, follow=False):
        return self._post("", follow)

    def post_draft(self, follow=False):
        seconds = self._post(self._visitor.token(self._draft), follow)
        give_back([self._draft], self._database)
        return seconds

    def _post(self, token, follow):
        content_type, body = multipart(None, draft=token)
        cookie = {"Cookie": self._visitor.cookie}
        time.sleep(PAUSE)
        connection = http.client.HTTPConnection("127.0.0.1", self._web.port, timeout=300)
        with stopwatch() as watch:
            connection.request("POST", "/drafted/", body, {"Content-Type": content_type, **cookie})
            response = connection.getresponse()
            text = response.read()
            if follow:
                connection.request("GET", "/drafted/", headers=cookie)
                page = connection.getresponse()
                text = page.read()
        connection.close()
        if response.status != 302 or (follow and page.status != 200):
            raise RuntimeError(f"/drafted/ answered with {text[:300]!r}")
        return watch.seconds

    def end(self):
        Draft.objects.using(self._database)._raw_delete(self._database)
