"""
What a careful engineer writes by hand instead of using the package: a function, and a task.

The image is put aside on a disk that web and workers share. The instance is saved without it, and
after the commit a task saves it. A project with one database leaves ``using`` out.
"""

import os
import uuid
from contextlib import suppress
from functools import partial
from pathlib import Path

from celery import shared_task
from django.conf import settings
from django.core.files.base import File
from django.db import transaction

from .models import Photo
from .routers import Router

FOLDER = Path(settings.DATA) / "by_hand"


def save(form):
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
            partial(save_image.delay, photo.pk, str(path), uploaded.name), using=Router.alias
        )
    return photo


@shared_task(acks_late=True, ignore_result=True)
def save_image(key, path, name):
    photo = Photo.objects.get(pk=key)
    with open(path, "rb") as file:
        photo.image.save(name, File(file), save=False)
    photo.save(update_fields=["image"])
    with suppress(FileNotFoundError):
        os.remove(path)
