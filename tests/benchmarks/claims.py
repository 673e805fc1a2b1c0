"""
The claim: a form whose image has arrived before it, against the same form without an image.

Once as far as the redirect, and once as far as the page that follows, which is what a person waits
for. That page has the empty form again.
"""

import http.client
import io
import time
from functools import partial
from importlib import import_module

from django.conf import settings
from django.core.files.base import File
from django.test import RequestFactory

from django_async_forms import arrival
from django_async_forms.draft_sender import sender_of
from django_async_forms.drafts import make_grant
from django_async_forms.grants import Grant, draft_token
from django_async_forms.models import Draft, Upload

from . import images
from .processes import Web, multipart
from .rounds import interleave, stopwatch

STAGINGS = ["files", "database"]
#: The time that the server has for what it does after a response.
PAUSE = 0.01


def measure(results, places, sizes, rounds, progress):
    """Measure both forms in turn for each size, on each staging storage and database."""
    for database in places.databases:
        for staging in STAGINGS:
            chosen = {"database": database, "staging": staging}
            with places.use(**chosen), Web(places, **chosen) as web:
                for size in sizes:
                    prefix = ("claim", images.label(size), database, staging)
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
        session = import_module(settings.SESSION_ENGINE).SessionStore()
        request = RequestFactory().get("/")
        request.session = session
        grant = Grant.loads(make_grant(request, "project.photo.image", using=database))
        session.save()
        self._cookie = f"{settings.SESSION_COOKIE_NAME}={session.session_key}"
        self._draft = arrival.create(
            grant, sender_of(request), name="photo.jpeg", content_type="image/jpeg", size=len(data)
        )
        arrival.fill(self._draft, File(io.BytesIO(data)))
        arrival.check(self._draft)

    def post_nothing(self, follow=False):
        return self._post("", follow)

    def post_draft(self, follow=False):
        seconds = self._post(draft_token(self._draft.pk, self._database), follow)
        # Without its bytes, which are the next draft's.
        claimed = Upload.objects.using(self._database).filter(pk=self._draft.pk)
        assert claimed._raw_delete(self._database) == 1
        self._draft.save(using=self._database, force_insert=True)
        return seconds

    def _post(self, token, follow):
        content_type, body = multipart(None, draft=token)
        headers = {"Content-Type": content_type, "Cookie": self._cookie}
        time.sleep(PAUSE)
        connection = http.client.HTTPConnection("127.0.0.1", self._web.port, timeout=300)
        with stopwatch() as watch:
            connection.request("POST", "/drafted/", body, headers)
            response = connection.getresponse()
            text = response.read()
            if follow:
                connection.request("GET", "/drafted/", headers={"Cookie": self._cookie})
                page = connection.getresponse()
                text = page.read()
        connection.close()
        if response.status != 302 or (follow and page.status != 200):
            raise RuntimeError(f"/drafted/ answered with {text[:300]!r}")
        return watch.seconds

    def end(self):
        Draft.objects.using(self._database)._raw_delete(self._database)
