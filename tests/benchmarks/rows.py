"""
The cost of an upload, a claim, a task, a status request and the admin's list, while PostgreSQL
holds many pending uploads and as many drafts.
"""

import json
import logging
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client, RequestFactory, override_settings
from django.utils import timezone

from django_async_forms.fields import Target
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Draft, Upload
from django_async_forms.status import image_status
from django_async_forms.tasks import save_image_task
from django_async_forms.tokens import make_token

from . import images
from .project.models import Photo
from .project.urls import form_class
from .rounds import interleave, stopwatch
from .visitor import Visitor
from .worker_speed import save, valid_form


def measure(results, places, rows, rounds, progress):
    """Make a database for each number of rows, and measure all of them in turn."""
    if places.database != "postgresql":
        return
    logging.getLogger("django_async_forms").setLevel(logging.ERROR)
    data = images.image(100_000)
    cases = {}
    for number in rows:
        alias = f"postgresql_{number}"
        progress(f"rows {number:,}")
        places.make_database(alias)
        _fill(alias, number)
        for name, case in CASES.items():
            cases[f"{name}, {number} rows"] = _at(places, alias, case, data)
    interleave(results, ("rows",), cases, rounds, progress, warm_up=3)
    for number in rows:
        places.drop_database(f"postgresql_{number}")


def _at(places, alias, case, data):
    def run():
        # The time of the disk for the bytes does not grow with the rows.
        with places.use(alias, staging="files, no fsync"):
            seconds = case(alias, data)
        places.empty_queues()
        return seconds

    return run


def _fill(alias, rows):
    """Insert uploads, their instances and drafts in bulk. All uploads are due."""
    now = timezone.now()
    numbers = f"generate_series(1, {rows}) AS n"
    # Like random ids, these do not follow the order of the rows.
    key = f"md5({rows} || '-' || n)"
    file = '{"class": "TemporaryUploadedFile", "name": "photo.jpg", "size": 5000000}'
    with connections[alias].cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {Photo._meta.db_table} (title, image)"
            f" SELECT 'Photo ' || n, '' FROM {numbers}"
        )
        _insert(
            cursor,
            Upload,
            numbers,
            {
                "id": f"{key}::uuid",
                "model": "'project.photo'",
                "object_pk": "n::text",
                "field_name": "'image'",
                "name": "'photo.jpg'",
                "file": f"'{file}'",
                "held": "''",
                "context": "'{}'",
                "sender": "''",
                "staged": f"'{alias}/aa/' || {key}",
                "sha256": "''",
                "state": "'pending'",
                "attempts": "1",
                "error": "''",
                "created_at": f"'{now}'::timestamptz - n * interval '1 millisecond'",
                "pending_since": f"'{now}'::timestamptz - n * interval '1 millisecond'",
                "sent_at": f"'{now}'",
                "due_at": f"'{now - timedelta(hours=1)}'",
            },
        )
        # Of a thousand senders.
        _insert(
            cursor,
            Draft,
            numbers,
            {
                "id": f"{key}::uuid",
                "purpose": "'project.photo.image'",
                "field": "'[]'",
                "sender": "encode(sha256((n % 1000)::text::bytea), 'hex')",
                "user": "''",
                "name": "'photo.jpg'",
                "content_type": "'image/jpeg'",
                "size": "5000000",
                "received": "5000000",
                "staged": f"'{alias}/bb/' || {key}",
                "is_checked": "true",
                "is_image": "true",
                "is_hidden": "false",
                "format": "'JPEG'",
                "sha256": "''",
                "created_at": f"'{now}'",
                "expires_at": f"'{now + timedelta(days=1)}'::timestamptz"
                " + n * interval '1 millisecond'",
            },
        )
        cursor.execute("VACUUM ANALYZE")


def _insert(cursor, model, numbers, columns):
    names = ", ".join(f'"{name}"' for name in columns)
    cursor.execute(
        f"INSERT INTO {model._meta.db_table} ({names})"
        f" SELECT {', '.join(columns.values())} FROM {numbers}"
    )


def _upload(alias, data):
    """The whole of ``form.save()`` with a small image: ``hand_off`` times large ones."""
    uploaded = images.on_disk(data)
    form = valid_form(uploaded)
    with stopwatch() as watch:
        photo = form.save()
    uploaded.close()
    _remove(photo)
    return watch.seconds


def _claim(alias, data):
    """The validation and ``form.save()`` of a form that claims a draft."""
    # The limits on all drafts are far higher where there are a million.
    with override_settings(ASYNC_FORMS={"MAX_DRAFTS_IN_ALL": None, "MAX_DRAFT_BYTES_IN_ALL": None}):
        visitor = Visitor(alias)
        token = visitor.token(visitor.send(data))
    values = {"title": "Dune", "image-draft": token}
    form = form_class(Photo, AsyncImageModelForm)(values, request=visitor.request)
    with stopwatch() as watch:
        photo = form.save()
    _remove(photo)
    return watch.seconds


def _remove(photo):
    assert Upload.objects.for_instance(photo).discard() == 1
    photo.delete()


def _task(alias, data):
    photo = save(data)
    upload = Upload.objects.for_instance(photo).get()
    with stopwatch() as watch:
        save_image_task.apply((str(upload.pk), alias), throw=True)
    assert not Upload.objects.filter(pk=upload.pk).exists()
    photo.delete()
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


def _list(alias, data):
    """The first page of the outbox in the admin: the newest hundred."""
    user, _is_new = User.objects.get_or_create(username="op", is_staff=True, is_superuser=True)
    with override_settings(MIDDLEWARE=settings.ADMIN_MIDDLEWARE):
        client = Client()
        client.force_login(user)
        # The outbox of this database is the router's own.
        with stopwatch() as watch:
            response = client.get("/admin/django_async_forms/upload/")
    assert response.content.count(b'class="action-select"') == 100
    return watch.seconds


CASES = {
    "upload": _upload,
    "claim": _claim,
    "task": _task,
    "status": _status,
    "admin list": _list,
}
