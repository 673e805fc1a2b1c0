"""
The hand-off: the time of ``form.save()`` with an image, above the time of the form without one.

Our message leaves after the response, so it is not a part of what a user waits for. For comparison:
the task that is written by hand, Django alone, the seed of this project, and the least time that
each medium needs for the same bytes.
"""

import os
import pickle
import uuid
from contextlib import suppress

from celery import current_app
from django.conf import settings
from django.db import connections, transaction
from django.forms import ModelForm
from django.utils import timezone

from django_async_forms import after_response, delivery
from django_async_forms.chunks import CHUNK_SIZE
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import StoredChunk, Upload

from . import images
from .project import by_hand, models
from .project.urls import form_class
from .rounds import interleave, stopwatch, subtract
from .visitor import Visitor

SIZES = [100_000, images.MB, 5 * images.MB, 20 * images.MB, 200 * images.MB]
#: The sizes of PNGs. The other images are JPEGs, and the largest is a TIFF.
PNGS = [images.MB, 20 * images.MB]
#: The largest size for the cases that hold an image in memory.
LARGEST_IN_ONE = 20 * images.MB
#: The cases with the validation of the form: a draft was validated when it arrived.
VALIDATED = ["no image, validated", "files, a draft", "database, a draft", "by hand, validated"]


def measure(results, places, sizes, rounds, progress):
    """Measure every case for each size. Large images need fewer rounds, and longer ones."""
    for size in sizes:
        few = max(3, rounds // (1 + size // (4 * images.MB)))
        prefix = ("hand-off", images.label(size))
        kind = "PNG" if size in PNGS else "JPEG"
        cases = _Bench(places, places.database, images.image(size, kind)).cases()
        interleave(results, prefix, cases, few, progress)
        for case in cases:
            base = "no image, validated" if case in VALIDATED else "no image"
            if case != base:
                subtract(results, prefix, case, base)


class _Bench:
    """Return the cases for one image on one database. Each returns its seconds and cleans up."""

    def __init__(self, places, database, data):
        self.places = places
        self.database = database
        self.data = data

    def cases(self):
        cases = {
            "no image": lambda: self._save(None),
            "files": lambda: self._save(self._posted(), "files"),
            "files as they arrive": lambda: self._save(images.arriving(self.data), "files"),
            "files, no fsync": lambda: self._save(self._posted(), "files, no fsync"),
            "write or rename, fsync and insert": self._put_aside,
        }
        if len(self.data) <= LARGEST_IN_ONE:
            cases |= {
                "files, a draft": lambda: self._claim("files"),
                "database": lambda: self._save(self._posted(), "database"),
                "database, a draft": lambda: self._claim("database"),
                "by hand": lambda: self._by_hand(self._form),
                "no image, validated": lambda: self._save(None, form=self._bound),
                "by hand, validated": lambda: self._by_hand(self._bound),
                "plain, local disk": lambda: self._plain(models.Photo),
                "plain, 50 ms away": lambda: self._plain(models.Distant50),
                "plain, 200 ms away": lambda: self._plain(models.Distant200),
                "pickle in the message": self._in_message,
            }
            if self.database == "postgresql":
                cases["the same rows by psycopg"] = self._insert
        return cases

    def _posted(self):
        return images.posted(self.data)

    def _bound(self, uploaded, model=models.Photo, base=AsyncImageModelForm):
        return form_class(model, base)({"title": "Dune"}, {"image": uploaded} if uploaded else None)

    def _form(self, uploaded, model=models.Photo, base=AsyncImageModelForm):
        form = self._bound(uploaded, model, base)
        assert form.is_valid(), form.errors
        return form

    def _save(self, uploaded, staging="files", form=None):
        with self.places.use(self.database, staging=staging):
            return self._in_a_request((form or self._form)(uploaded), uploaded)

    def _claim(self, staging):
        with self.places.use(self.database, staging=staging):
            visitor = Visitor(self.database)
            token = visitor.token(visitor.send(self.data))
            form = form_class(models.Photo, AsyncImageModelForm)(
                {"title": "Dune", "image-draft": token}, request=visitor.request
            )
            return self._in_a_request(form)

    def _in_a_request(self, form, uploaded=None):
        """Save a form, which validates it first unless that was done. Return the seconds."""
        after_response.begin()
        with stopwatch() as watch:
            photo = form.save()
        assert not photo.image
        after_response.end()
        delivery.finish()
        self._clean_up(uploaded)
        return watch.seconds

    def _by_hand(self, make_form):
        with self.places.use(self.database):
            form = make_form(self._posted(), base=ModelForm)
            with stopwatch() as watch:
                assert form.is_valid()
                by_hand.save(form)
            self._clean_up(form.cleaned_data["image"])
        return watch.seconds

    def _plain(self, model):
        with self.places.use(self.database):
            uploaded = self._posted()
            form = self._form(uploaded, model, base=ModelForm)
            with stopwatch() as watch:
                photo = form.save()
            photo.image.delete(save=False)
            photo.delete()
            self._clean_up(uploaded)
        return watch.seconds

    def _put_aside(self):
        """The least work: put the bytes in their place on the disk, and insert a row for them."""
        with self.places.use(self.database):
            uploaded, form = self._posted(), self._form(None)
            folder = settings.DATA / "raw"
            folder.mkdir(exist_ok=True)
            path = folder / uuid.uuid4().hex
            with stopwatch() as watch, transaction.atomic(using=self.database):
                photo = form.save()
                if hasattr(uploaded, "temporary_file_path"):
                    os.rename(uploaded.temporary_file_path(), path)
                else:
                    path.write_bytes(uploaded.read())
                _fsync(path)
                _fsync(folder)
                with connections[self.database].cursor() as cursor:
                    _insert_upload(cursor, photo)
            self._clean_up(uploaded)
            path.unlink()
        return watch.seconds

    def _insert(self):
        """The least work of PostgreSQL: the rows of a hand-off, sent one by one in binary."""
        from psycopg import Cursor

        with self.places.use(self.database):
            form = self._form(None)
            connection = connections[self.database]
            connection.ensure_connection()
            with stopwatch() as watch, transaction.atomic(using=self.database):
                photo = form.save()
                with Cursor(connection.connection) as cursor:
                    _insert_upload(cursor, photo)
                    for start in range(0, len(self.data), CHUNK_SIZE):
                        data = self.data[start : start + CHUNK_SIZE]
                        cursor.execute(
                            f"INSERT INTO {StoredChunk._meta.db_table}"
                            " (name, position, data, saved_at) VALUES (%s, %s, %b, %s)",
                            ("raw", start, data, timezone.now()),
                        )
            self._clean_up(None)
        return watch.seconds

    def _in_message(self):
        """The way of the seed: the bytes and their description are arguments of the task."""
        with self.places.use(self.database):
            current_app.conf.accept_content = ["json", "pickle"]
            uploaded, form = self._posted(), self._form(None)
            with stopwatch() as watch:
                photo = form.save()
                content = (type(uploaded).__name__, uploaded.name, uploaded.read())
                arguments = (photo.pk, "image", pickle.dumps(content))
                current_app.send_task("seed", arguments, serializer="pickle")
            self._clean_up(uploaded)
        return watch.seconds

    def _clean_up(self, uploaded):
        if uploaded is not None:
            with suppress(FileNotFoundError):  # A case has moved the file.
                uploaded.close()
        self.places.empty(self.database)


def _fsync(path):
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _insert_upload(cursor, photo):
    """Insert the row of an upload in one statement."""
    columns = [field.column for field in Upload._meta.concrete_fields]
    upload = Upload(model="project.photo", object_pk=photo.pk, field_name="image", name="photo.jpg")
    upload.file = {"class": "TemporaryUploadedFile", "name": "photo.jpg", "size": 1}
    connection = connections[photo._state.db]
    values = [
        field.get_db_prep_save(getattr(upload, field.attname), connection)
        for field in Upload._meta.concrete_fields
    ]
    cursor.execute(
        f"INSERT INTO {Upload._meta.db_table} ({', '.join(columns)})"
        f" VALUES ({', '.join(['%s'] * len(columns))})",
        values,
    )
