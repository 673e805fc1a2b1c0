"""The cost of an upload, a task, a recovery and a status request while many uploads are pending."""

import json
import logging
from datetime import timedelta

from django.db import connections
from django.test import RequestFactory
from django.utils import timezone

from django_async_forms.fields import Target
from django_async_forms.models import Upload
from django_async_forms.recovery import recover
from django_async_forms.status import image_status
from django_async_forms.tasks import save_image_task
from django_async_forms.tokens import make_token

from . import images
from .project.models import Photo
from .rounds import interleave, stopwatch
from .worker_speed import save, valid_form

#: A query for as many numbered rows, by database.
_NUMBERS = {
    "postgresql": "SELECT n FROM generate_series(1, {rows}) AS n",
    "sqlite": "WITH RECURSIVE numbers(n) AS"
    " (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows}) SELECT n FROM numbers",
}
_KEY = {"postgresql": "md5({rows} || '-' || n)::uuid", "sqlite": "lower(hex(randomblob(16)))"}


def measure(results, places, rows, rounds, progress):
    """Make a database for each number of rows, and measure all of them in turn."""
    logging.getLogger("django_async_forms").setLevel(logging.ERROR)
    data = images.image(100_000)
    for database in places.databases:
        cases, recoveries = {}, {}
        for pending in rows:
            alias = f"{database}_{pending}"
            progress(f"growth {database} {pending:,} rows")
            places.make_database(alias)
            sent = results.setdefault(("sent", database, f"recovery, {pending} pending"), [])
            _fill(alias, database, pending)
            for name, case in (("upload", _upload), ("task", _task), ("status", _status)):
                cases[f"{name}, {pending} pending"] = _at(places, alias, case, data)
            recoveries[f"recovery, {pending} pending"] = _at(places, alias, _recovery, sent)
        interleave(results, ("growth", database), cases, rounds, progress)
        interleave(results, ("growth", database), recoveries, max(2, rounds // 3), progress, 0)


def _at(places, alias, case, argument):
    def run():
        # The time of the disk for the bytes does not grow with the rows.
        with places.use(alias, staging="files, no fsync"):
            seconds = case(alias, argument)
        places.empty_queues()
        return seconds

    return run


def _fill(alias, vendor, rows):
    """Insert uploads and their instances in bulk. All uploads are pending and due."""
    now = timezone.now()
    adapt = connections[alias].ops.adapt_datetimefield_value
    numbers = _NUMBERS[vendor].format(rows=rows)
    file = '{"class": "TemporaryUploadedFile", "name": "photo.jpg", "size": 5000000}'
    with connections[alias].cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {Photo._meta.db_table} (title, image)"
            f" SELECT 'Photo ' || n, '' FROM ({numbers}) AS numbered"
        )
        cursor.execute(
            f"INSERT INTO {Upload._meta.db_table} (id, model, object_pk, field_name, name, file,"
            " staged, state, attempts, error, created_at, sent_at, due_at)"
            f" SELECT {_KEY[vendor].format(rows=rows)}, 'project.photo', CAST(n AS text), 'image',"
            f" 'photo.jpg', %s, '{alias}/aa/' || n, 'pending', 1, '', %s, %s, %s"
            f" FROM ({numbers}) AS numbered",
            [file, *[adapt(now)] * 2, adapt(now - timedelta(hours=1))],
        )
        cursor.execute("ANALYZE")


def _upload(alias, data):
    """The whole of ``form.save()`` with a small image: ``hand_off`` times large ones."""
    uploaded = images.on_disk(data)
    form = valid_form(uploaded)
    with stopwatch() as watch:
        photo = form.save()
    uploaded.close()
    Upload.objects.for_instance(photo).discard()
    return watch.seconds


def _task(alias, data):
    upload = Upload.objects.for_instance(save(data)).get()
    with stopwatch() as watch:
        save_image_task.apply((str(upload.pk), alias), throw=True)
    assert not Upload.objects.filter(pk=upload.pk).exists()
    return watch.seconds


def _status(alias, data):
    """The status request of a page with 100 placeholders, one of whose images is attached."""
    photo = Photo.objects.create(title="Saved")
    others = Photo.objects.filter(pk__lt=photo.pk)[:99]
    field = Photo._meta.get_field("image")
    tokens = [make_token(Target.of(photo, field)) for photo in [*others, photo]]
    request = RequestFactory().post("/", {"tokens": tokens}, content_type="application/json")
    with stopwatch() as watch:
        response = image_status(request)
    states = [image["state"] for image in json.loads(response.content)["images"].values()]
    assert (states.count("pending"), states.count("saved")) == (99, 1)
    photo.delete()
    return watch.seconds


def _recovery(alias, sent):
    """A run that finds every upload due, sends a batch again, and notes that."""
    with stopwatch() as watch:
        recovered = recover(alias)
    sent.append(recovered.sent)
    Upload.objects.filter(due_at__gt=timezone.now()).update(
        due_at=timezone.now() - timedelta(hours=1)
    )
    return watch.seconds
