"""
The hand-off: the time of ``form.save()`` with an image, above the time of the form without one.

For comparison: Django alone, the seed of this project, and the least time that each medium needs
for the same bytes.
"""

import os
import pickle
import uuid
from contextlib import suppress

from celery import current_app
from django.conf import settings
from django.db import connections, transaction
from django.forms import ModelForm
from redis import Redis

from django_async_forms import after_response
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload

from . import images
from .project import by_hand, models
from .project.urls import form_class
from .rounds import interleave, stopwatch, subtract

SIZES = [100_000, images.MB, 5 * images.MB, 20 * images.MB, 200 * images.MB]
#: The sizes of PNGs. The other images are JPEGs, and the largest is a TIFF.
PNGS = [images.MB, 20 * images.MB]
#: The largest size for the cases that send an image as one value.
LARGEST_IN_ONE = 20 * images.MB


def measure(results, places, sizes, rounds, progress):
    """Measure every case for each size, on each database."""
    for size in sizes:
        few = max(3, rounds // 3) if size > LARGEST_IN_ONE else rounds
        for database in places.databases:
            prefix = ("hand-off", images.label(size), database)
            kind = "PNG" if size in PNGS else "JPEG"
            bench = _Bench(places, database, images.image(size, kind))
            cases = bench.staged()
            if size <= LARGEST_IN_ONE:
                cases |= bench.in_one() | bench.elsewhere()
            interleave(results, prefix, cases, few, progress)
            for case in cases:
                if case not in ("no image", "Redis SET"):
                    subtract(results, prefix, case, "no image")


class _Bench:
    """Return the cases for one image on one database. Each returns its seconds and cleans up."""

    def __init__(self, places, database, data):
        self.places = places
        self.database = database
        self.data = data

    def staged(self):
        cases = {
            "no image": lambda: self._save(None),
            "files, on disk": lambda: self._save(images.on_disk(self.data), staging="files"),
            "files, no fsync": lambda: self._save(
                images.on_disk(self.data), staging="files, no fsync"
            ),
            "files, on disk as they arrive": lambda: self._save(
                images.arriving(self.data), staging="files"
            ),
            "rename, fsync and insert": lambda: self._rename(images.on_disk(self.data)),
            "rename, fsync and insert, as they arrive": lambda: self._rename(
                images.arriving(self.data)
            ),
        }
        if len(self.data) <= LARGEST_IN_ONE:
            # Until the answer's last byte: our message leaves after it.
            cases |= {
                "files, in a request": lambda: self._save_in_request("files"),
                "database, in a request": lambda: self._save_in_request("database"),
                "files, by hand": lambda: self._by_hand(by_hand.save_with_file),
                "database, by hand": lambda: self._by_hand(by_hand.save_with_row),
            }
        if len(self.data) <= settings.FILE_UPLOAD_MAX_MEMORY_SIZE:
            cases["files, from memory"] = lambda: self._save(self._posted(), staging="files")
        if len(self.data) <= LARGEST_IN_ONE:
            cases["database"] = lambda: self._save(self._posted())
            if "rabbitmq" in self.places.brokers:
                cases["files, RabbitMQ"] = lambda: self._save(
                    images.on_disk(self.data), staging="files", broker="rabbitmq"
                )
        return cases

    def in_one(self):
        return {"one binary INSERT": self._insert}

    def elsewhere(self):
        cases = {
            "plain, local disk": lambda: self._plain(models.Photo),
            "plain, 50 ms away": lambda: self._plain(models.Distant50),
            "plain, 200 ms away": lambda: self._plain(models.Distant200),
        }
        if settings.S3_URL:
            cases["plain, S3 on loopback"] = lambda: self._plain(models.InObjectStore)
        if "redis" in self.places.brokers:
            cases |= {
                "pickle in the message": lambda: self._in_message("pickle"),
                "JSON in the message": lambda: self._in_message("json"),
                "Redis SET": self._redis_set,
            }
        return cases

    def _posted(self):
        return images.posted(self.data)

    def _form(self, uploaded, model=models.Photo, base=AsyncImageModelForm):
        form = form_class(model, base)({"title": "Dune"}, {"image": uploaded} if uploaded else None)
        assert form.is_valid(), form.errors
        return form

    def _save(self, uploaded, **where):
        with self.places.use(self.database, **where):
            form = self._form(uploaded)
            with stopwatch() as watch:
                form.save()
            self._clean_up(uploaded)
        return watch.seconds

    def _save_in_request(self, staging):
        uploaded = self._posted()
        with self.places.use(self.database, staging=staging):
            form = self._form(uploaded)
            after_response.begin()
            with stopwatch() as watch:
                form.save()
            after_response.end()
            self._clean_up(uploaded)
        return watch.seconds

    def _by_hand(self, save):
        uploaded = self._posted()
        with self.places.use(self.database):
            form = self._form(uploaded, base=ModelForm)
            with stopwatch() as watch:
                save(form)
            self._clean_up(uploaded)
        return watch.seconds

    def _plain(self, model):
        with self.places.use(self.database):
            uploaded = self._posted()
            form = self._form(uploaded, model, base=form_class(model).__bases__[0])
            with stopwatch() as watch:
                photo = form.save()
            photo.image.delete(save=False)
            photo.delete()
            self._clean_up(uploaded)
        return watch.seconds

    def _rename(self, uploaded):
        """The least work: move the file to its place on the disk, and insert a row for it."""
        with self.places.use(self.database):
            form = self._form(None)
            folder = settings.DATA / "raw"
            folder.mkdir(exist_ok=True)
            with stopwatch() as watch, transaction.atomic(using=self.database):
                photo = form.save()
                path = folder / uuid.uuid4().hex
                os.rename(uploaded.temporary_file_path(), path)
                _fsync(path)
                _fsync(folder)
                _insert_row(self.database, photo)
            self._clean_up(uploaded)
            path.unlink()
        return watch.seconds

    def _insert(self):
        """The least work of a database: one INSERT with the bytes as a binary parameter."""
        with self.places.use(self.database):
            form = self._form(None)
            connection = connections[self.database]
            connection.ensure_connection()
            with stopwatch() as watch, transaction.atomic(using=self.database):
                form.save()
                _insert_bytes(connection, self.data)
            self._clean_up(None)
        return watch.seconds

    def _in_message(self, serializer):
        """The way of the seed: the bytes and their description are arguments of the task."""
        with self.places.use(self.database):
            current_app.conf.accept_content = ["json", "pickle"]
            uploaded = self._posted()
            form = self._form(None)
            with stopwatch() as watch:
                photo = form.save()
                content = uploaded.read()
                if serializer == "pickle":
                    content = pickle.dumps((type(uploaded).__name__, uploaded.name, content))
                current_app.send_task("seed", (photo.pk, "image", content), serializer=serializer)
            self._clean_up(uploaded)
        return watch.seconds

    def _redis_set(self):
        broker = self.places.brokers["redis"]
        with Redis.from_url(broker.url) as redis:
            redis.ping()
            with stopwatch() as watch:
                redis.set(f"{broker.queue}:raw", self.data)
            redis.delete(f"{broker.queue}:raw")
        return watch.seconds

    def _clean_up(self, uploaded):
        if uploaded is not None:
            with suppress(FileNotFoundError):  # The raw rename has moved the file.
                uploaded.close()
        self.places.empty(self.database)


def _fsync(path):
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _insert_row(database, photo):
    """Insert the rows of a hand-off in one statement."""
    columns = [field.column for field in Upload._meta.concrete_fields]
    upload = Upload(model="project.photo", object_pk=photo.pk, field_name="image", name="photo.jpg")
    upload.file = {"class": "TemporaryUploadedFile", "name": "photo.jpg", "size": 1}
    upload.due_at = upload.created_at
    connection = connections[database]
    values = [
        field.get_db_prep_save(getattr(upload, field.attname), connection)
        for field in Upload._meta.concrete_fields
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {Upload._meta.db_table} ({', '.join(columns)})"
            f" VALUES ({', '.join(['%s'] * len(columns))})",
            values,
        )


def _insert_bytes(connection, data):
    statement = f"INSERT INTO {models.Blob._meta.db_table} (data) VALUES "
    if connection.vendor == "postgresql":
        from psycopg import Cursor

        Cursor(connection.connection).execute(f"{statement} (%b)", (data,))
    else:
        connection.connection.execute(f"{statement} (?)", (data,))
