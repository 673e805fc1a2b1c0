"""A visitor whose images arrive before the form: makes drafts, and gives claimed ones back."""

import io
from importlib import import_module

from django.conf import settings
from django.core.files.base import File
from django.test import RequestFactory

from django_async_forms import arrival
from django_async_forms.draft_sender import sender_of
from django_async_forms.drafts import make_grant
from django_async_forms.grants import Grant, draft_token
from django_async_forms.models import Draft, Upload


class Visitor:
    """A visitor with a session."""

    def __init__(self, database):
        self.database = database
        self.request = RequestFactory().post("/")
        self.request.session = session = import_module(settings.SESSION_ENGINE).SessionStore()
        self._grant = Grant.loads(make_grant(self.request, "project.photo.image", using=database))
        session.save()
        self.cookie = f"{settings.SESSION_COOKIE_NAME}={session.session_key}"

    def send(self, data):
        """Send an image, and return its draft."""
        draft = arrival.create(
            self._grant,
            sender_of(self.request),
            name="photo.jpeg",
            content_type="image/jpeg",
            size=len(data),
        )
        arrival.fill(draft, File(io.BytesIO(data)))
        arrival.check(draft)
        return draft

    def token(self, draft):
        return draft_token(draft.pk, self.database)


def give_back(drafts, database):
    """Make drafts of the uploads that forms have made of them. Their bytes have stayed."""
    claimed = Upload.objects.using(database).filter(pk__in=[draft.pk for draft in drafts])
    assert claimed._raw_delete(database) == len(drafts)
    Draft.objects.using(database).bulk_create(drafts)
