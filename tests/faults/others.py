"""The project's other code, which changes images with Django's ORM and without a form."""

import random
import threading
import time
import uuid
from collections import Counter

from .columns import MODELS

#: Its actions, and how often it takes each.
DEEDS = {"replace": 30, "empty": 15, "remove": 15, "stale": 30, "delete": 5, "delete raw": 5}
#: The number of uploads for each action.
UPLOADS_PER_DEED = 4
#: The least age of a stale instance's file: object stores date files in seconds.
AGE = 1.5


class Others:
    """A thread that changes rows, and prefers rows with a pending upload."""

    def __init__(self, stream, seed):
        self._stream = stream
        self._rng = random.Random(f"{seed} others")
        self._has_ended = threading.Event()
        self._loaded = []
        #: The number of times that it took each action, and that an action was refused.
        self.deeds = Counter()
        self.refused = Counter()
        #: The names of files that it has removed.
        self.removed = set()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def end(self):
        """Let the thread finish its action, and end it."""
        self._has_ended.set()
        self._thread.join()

    def do(self, deed, *row):
        """Take an action, on one row if it is given. Safe in any thread."""
        from django.db import DatabaseError, connection

        from .site.steps import cause_of

        try:
            if getattr(self, "_" + deed.replace(" ", "_"))(*row or self._pick()):
                self.deeds[deed] += 1
        except DatabaseError as error:  # For example, from a connection that was cut.
            self.refused[cause_of(error)] += 1
            connection.close()
        except OSError:  # The storage is told to refuse.
            self.refused["storage"] += 1
        finally:
            if row:
                connection.close()

    def _live(self):
        from django.db import connection

        while not self._has_ended.wait(0.05):
            if self.deeds.total() * UPLOADS_PER_DEED <= self._stream.answers.uploads:
                self.do(self._rng.choices(list(DEEDS), list(DEEDS.values()))[0])
        connection.close()

    def _pick(self):
        """Return the table and the key of a row, mostly of one with a pending upload."""
        from django_async_forms.models import Upload

        if self._rng.random() < 0.7:
            uploads = Upload.objects.pending().order_by("-created_at")
            rows = list(uploads.values_list("model", "object_pk")[:6])
            if rows:
                label, key = self._rng.choice(rows)
                return label.partition(".")[2], int(key)
        return "picture", self._stream.pick(self._rng)

    def _replace(self, table, key):
        """Give a row another file. The row is locked, so the ledger has the same order."""
        from django.core.files.base import ContentFile
        from django.core.files.storage import FileSystemStorage
        from django.db import transaction

        from tests import pictures

        from .site.views import digest

        name = self._rng.choice(_fields(table))
        # With a name: Django gives a file without one no dimensions.
        content = ContentFile(pictures.jpeg(), name="dune.jpg")
        with transaction.atomic():
            row = _locked(table, key)
            if row is None:
                return False
            file = getattr(row, name)
            # In an object store, only workers keep the names of simultaneous files apart.
            is_shared = isinstance(file.storage, FileSystemStorage)
            filename = "dune0.jpg" if is_shared else f"{uuid.uuid4().hex}.jpg"
            file.save(filename, content, save=False)
            row.save()
            _note("replaced", row, name, digest=digest(content))
        return True

    def _empty(self, table, key):
        """Remove an image from its row."""
        from django.db import transaction

        name = self._rng.choice(_fields(table))
        with transaction.atomic():
            row = _locked(table, key)
            if row is None or not getattr(row, name):
                return False
            setattr(row, name, "")
            row.save()
            _note("emptied", row, name)
        return True

    def _remove(self, table, key):
        """Remove the cover from its picture, and its file."""
        from django.db import transaction

        with transaction.atomic():
            row = _locked(table, key)
            if not getattr(row, "cover", None):
                return False
            self.removed.add(row.cover.name)
            row.cover.delete()
            _note("emptied", row, "cover")
        return True

    def _stale(self, table, key):
        """Save a row as it was loaded earlier."""
        from django.db import transaction

        # Not the cover: its file may be gone by now, and a removed file has no date.
        name = {"picture": "image", "slide": "photo"}[table]
        row = _model(table).objects.filter(pk=key).first()
        if row is not None and getattr(row, name):
            self._loaded.append((time.monotonic(), name, row))
        old = [entry for entry in self._loaded if entry[0] < time.monotonic() - AGE]
        if not old:
            return False
        # Prefer a row whose upload is pending by now, or else the oldest.
        wanted = self._pick()[1]
        entry = min(old, key=lambda entry: (entry[2].pk != wanted, entry[0]))
        self._loaded.remove(entry)
        _, name, row = entry
        with transaction.atomic():
            row.save(update_fields=[name])
            _note("stale", row, name)
        return True

    def _delete(self, table, key):
        """Delete a picture with Django's signals."""
        return table == "picture" and _delete_by(key, lambda query: query.delete())

    def _delete_raw(self, table, key):
        """Delete a picture without signals: its upload is kept as failed."""
        return table == "picture" and _delete_by(key, lambda query: query._raw_delete(query.db))


def _fields(table):
    return [name for name, model in MODELS.items() if model.lower() == table]


def _model(table):
    from .site import models

    return getattr(models, table.capitalize())


def _locked(table, key):
    return _model(table).objects.select_for_update().filter(pk=key).first()


def _delete_by(key, delete):
    from django.db import transaction

    from .site.models import Fact, Picture

    with transaction.atomic():
        if _locked("picture", key) is None:
            return False
        delete(Picture.objects.filter(pk=key))
        Fact.objects.create(what="deleted", picture=key)
    return True


def _note(what, row, field, digest=""):
    from .site.models import Fact

    name = getattr(row, field).name or ""
    Fact.objects.create(what=what, picture=row.pk, field=field, name=name, digest=digest)
