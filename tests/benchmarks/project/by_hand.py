"""
What a careful engineer writes by hand instead of using the package: two functions, and two tasks.

The image is put aside, on a disk that web and workers share or in a table. The instance is saved
without it, and after the commit a task saves it. A project with one database leaves ``using`` out.
"""

import os
import uuid
from contextlib import suppress
from functools import partial
from pathlib import Path

from celery import shared_task
from django.conf import settings
from django.core.files.base import ContentFile, File
from django.db import transaction

from .models import Photo, Waiting
from .routers import Router

FOLDER = Path(settings.DATA) / "by_hand"


def save_with_file(form):
    """Put the image on the shared disk, and have a task save it."""
    uploaded, form.instance.image = form.cleaned_data["image"], ""
    path = FOLDER / uuid.uuid4().hex
    with open(path, "wb") as file:
        for chunk in uploaded.chunks():
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    with transaction.atomic(using=Router.alias):
        photo = form.save()
        transaction.on_commit(
            partial(save_file.delay, photo.pk, str(path), uploaded.name), using=Router.alias
        )
    return photo


@shared_task(acks_late=True, ignore_result=True)
def save_file(key, path, name):
    photo = Photo.objects.get(pk=key)
    with open(path, "rb") as file:
        photo.image.save(name, File(file), save=False)
    photo.save(update_fields=["image"])
    with suppress(FileNotFoundError):
        os.remove(path)


def save_with_row(form):
    """Put the image in a table, and have a task save it."""
    uploaded, form.instance.image = form.cleaned_data["image"], ""
    with transaction.atomic(using=Router.alias):
        photo = form.save()
        row = Waiting.objects.create(photo=photo, name=uploaded.name, data=uploaded.read())
        transaction.on_commit(partial(save_row.delay, row.pk), using=Router.alias)
    return photo


@shared_task(acks_late=True, ignore_result=True)
def save_row(key):
    row = Waiting.objects.select_related("photo").get(pk=key)
    photo = row.photo
    photo.image.save(row.name, ContentFile(bytes(row.data)), save=False)
    with transaction.atomic(using=Router.alias):
        photo.save(update_fields=["image"])
        row.delete()
