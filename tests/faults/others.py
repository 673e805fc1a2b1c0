"""Other code of the project's, which changes images by Django's ORM, without a form."""

import random
import threading
import time
import uuid
from collections import Counter

#: What it does, and how often.
DEEDS = {"replace": 30, "empty": 15, "remove": 15, "stale": 30, "delete": 5, "delete raw": 5}
#: One deed for so many uploads.
UPLOADS_PER_DEED = 4
#: How long ago what a stale instance holds was stored: object stores date files to the second.
AGE = 1.5


class Others:
    """A thread that changes pictures, those with a pending upload first."""

    def __init__(self, stream, seed, has_object_store):
        self._stream = stream
        self._rng = random.Random(f"{seed} others")
        self._has_object_store = has_object_store
        self._has_ended = threading.Event()
        self._loaded = []
        #: How often it did what, and what was refused.
        self.deeds = Counter()
        self.refused = Counter()
        #: The names of files that it has removed.
        self.removed = set()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def end(self):
        """Have it end what it is at."""
        self._has_ended.set()
        self._thread.join()

    def _live(self):
        from django.db import DatabaseError, connection

        from .site.steps import cause_of

        while not self._has_ended.wait(0.05):
            if self.deeds.total() * UPLOADS_PER_DEED > self._stream.answers.uploads:
                continue
            deed = self._rng.choices(list(DEEDS), list(DEEDS.values()))[0]
            try:
                if getattr(self, "_" + deed.replace(" ", "_"))():
                    self.deeds[deed] += 1
            except DatabaseError as error:  # Of a connection that was cut, say.
                self.refused[cause_of(error)] += 1
                connection.close()
            except OSError:  # The storage is told to refuse.
                self.refused["storage"] += 1
        connection.close()

    def _pick(self):
        """Return the key of a picture, mostly of one with an upload that is pending."""
        if self._rng.random() < 0.3:
            return self._stream.pick(self._rng)
        from django_async_forms.models import Upload

        uploads = Upload.objects.pending().filter(model="site.picture").order_by("-created_at")
        keys = [int(key) for key in uploads.values_list("object_pk", flat=True)[:6]]
        return self._rng.choice(keys) if keys else self._stream.pick(self._rng)

    def _locked(self, pk):
        from .site.models import Picture

        return Picture.objects.select_for_update().filter(pk=pk).first()

    def _replace(self):
        """Give a picture another file. It holds the row meanwhile: the ledger is in this order."""
        from django.core.files.base import ContentFile
        from django.db import transaction

        from tests import pictures

        from .site.views import digest

        pk, name = self._pick(), self._rng.choice(["image", "cover"])
        content = ContentFile(pictures.jpeg())
        # Nobody but a worker keeps the names apart of two that store at once in an object store.
        is_shared = name == "cover" or not self._has_object_store
        filename = "dune0.jpg" if is_shared else f"{uuid.uuid4().hex}.jpg"
        with transaction.atomic():
            picture = self._locked(pk)
            if picture is None:
                return False
            getattr(picture, name).save(filename, content, save=False)
            picture.save()
            self._note("replaced", picture, name, digest=digest(content))
        return True

    def _empty(self):
        """Take an image off its picture."""
        from django.db import transaction

        name = self._rng.choice(["image", "cover"])
        with transaction.atomic():
            picture = self._locked(self._pick())
            if picture is None or not getattr(picture, name):
                return False
            setattr(picture, name, "")
            picture.save()
            self._note("emptied", picture, name)
        return True

    def _remove(self):
        """Take an image off its picture, and remove its file."""
        from django.db import transaction

        with transaction.atomic():
            picture = self._locked(self._pick())
            if picture is None or not picture.cover:
                return False
            self.removed.add(picture.cover.name)
            picture.cover.delete()
            self._note("emptied", picture, "cover")
        return True

    def _stale(self):
        """Save a picture as it was loaded earlier."""
        from django.db import transaction

        from .site.models import Picture

        picture = Picture.objects.filter(pk=self._pick()).first()
        if picture is not None and picture.image:
            self._loaded.append((time.monotonic(), picture))
        pending = self._pick()
        old = [entry for entry in self._loaded if entry[0] < time.monotonic() - AGE]
        # One that is pending again by now, else the oldest.
        old.sort(key=lambda entry: (entry[1].pk != pending, entry[0]))
        if not old:
            return False
        self._loaded.remove(old[0])
        picture = old[0][1]
        with transaction.atomic():
            picture.save(update_fields=["image"])
            self._note("stale", picture, "image")
        return True

    def _delete(self):
        """Delete a picture with Django's signals."""
        return self._delete_by(lambda query: query.delete())

    def _delete_raw(self):
        """Delete a picture without: its upload is kept as failed."""
        return self._delete_by(lambda query: query._raw_delete(query.db))

    def _delete_by(self, delete):
        from django.db import transaction

        from .site.models import Fact, Picture

        pk = self._pick()
        with transaction.atomic():
            if self._locked(pk) is None:
                return False
            delete(Picture.objects.filter(pk=pk))
            Fact.objects.create(what="deleted", picture=pk)
        return True

    def _note(self, what, picture, field, digest=""):
        from .site.models import Fact

        name = getattr(picture, field).name or ""
        Fact.objects.create(what=what, picture=picture.pk, field=field, name=name, digest=digest)
