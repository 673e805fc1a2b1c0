"""What a worker has put into the final storage: that it is there, or its removal."""

from __future__ import annotations

import logging
from contextlib import suppress

from django.db import Error, connections, transaction
from django.db.models.fields.files import FieldFile

from .fields import lock_instance
from .models import Upload

logger = logging.getLogger("django_async_forms")


def check_is_there(stored: FieldFile) -> None:
    """
    Raise what the storage raises for a file that is not there.

    Two workers that ask at once for a name may be given the same, by a storage such as S3. If one
    of them failed, it has removed the file of both, under the lock that this one holds by now.
    """
    with suppress(NotImplementedError):
        stored.storage.size(str(stored.name))


def remove_stored(upload: Upload, stored: FieldFile) -> None:
    """Remove a file that was stored for nothing, unless an instance may be using it."""
    for tries_left in (2, 1, 0):
        try:
            if stored.name:
                _remove_unless_in_use(upload, stored)
        except Exception as error:
            # It may be for a lost connection that it was stored for nothing; another may be had.
            if isinstance(error, Error) and tries_left:
                continue
            # One file too many in the storage is better than one that an instance needs.
            logger.warning("Upload %s: left a stored file behind.", upload.pk, exc_info=True)
        return


def _remove_unless_in_use(upload: Upload, stored: FieldFile) -> None:
    field, name, storage = stored.field, str(stored.name), stored.storage
    connection = connections[upload.using]
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
    with transaction.atomic(using=upload.using):
        # Under the lock: a commit that was cut off may yet be going through.
        lock_instance([field], stored.instance, upload.using)
        # Any instance: object stores may have given two uploads the same name at the same time.
        users = field.model._base_manager.using(upload.using).filter(**{field.attname: name})
        # A storage that would give the name again overwrites, so the file may be another's by now.
        if not users.exists() and storage.get_available_name(name) != name:
            stored.delete(save=False)
            logger.info("Upload %s: removed what was stored for nothing.", upload.pk)
