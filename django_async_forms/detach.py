"""From a form to the journal: the images come off their instance as it is saved, and are owed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any

from django.core.files.base import File
from django.db import router, transaction
from django.db.models import Field, FileField, Model
from django.db.models.fields import AutoFieldMixin
from django.db.models.fields.files import FileDescriptor
from django.db.models.signals import post_save

from .fields import file_fields, image_columns, lock_instance, uncommitted_file
from .models import Upload
from .uploads import hand_over

#: Where an instance keeps who detaches its images when it is saved next, and, in the middle of
#: that, what is owed to it.
_WAITING = "_async_forms_waiting"
_OWED = "_async_forms_owed"


@dataclass(eq=False)
class Owed:
    """
    A file that was detached from its instance, and the name to save it by.

    Without a file, it says that nothing is owed any more.
    """

    uploaded: File[Any] | None
    name: str | None = None
    upload_id: uuid.UUID = field(default_factory=uuid.uuid4)
    handed_over: bool = False
    committed: bool = False

    def is_to_be_handed_over(self, using: str) -> bool:
        """Tell whether it was never handed over, or a rollback has undone that."""
        if not self.handed_over:
            return True
        rows = Upload.objects.using(using).filter(pk=self.upload_id)
        return not self.committed and not rows.exists()


class Detachment:
    """
    What a form knows of its instance's images from before it, and does with them as it is saved.

    Validation puts the uploads on the instance, so this is made before.
    """

    def __init__(self, instance: Model) -> None:
        self.instance = instance
        self._key = instance.pk
        # Not the upload of an earlier form, though, that an instance in a second form still has.
        self._held = {
            column.attname: instance.__dict__[column.attname]
            for file_field in file_fields(instance)
            if uncommitted_file(instance, file_field) is None
            for column in image_columns(file_field)
            if column.attname in instance.__dict__
        }
        self._fields: Collection[FileField] = ()
        self._cleared: Collection[str] = ()
        self._owed: dict[str, Owed] = {}
        self._is_first = True
        self._creates = False

    def begin(self) -> None:
        """Forget what was owed: the form is validated anew."""
        self._owed = {}
        self._is_first = True

    def wait_for_save(self, fields: Collection[FileField], cleared: Collection[str]) -> None:
        """
        Detach the images of ``fields`` when ``save()`` of the instance is called next.

        ``cleared`` names those that the form empties. Until then the instance is as Django's own
        form leaves it, so that a view may look at the upload, rename it, or put another in its
        place.
        """
        self._fields, self._cleared = fields, cleared
        earlier: Detachment | None = self.instance.__dict__.get(_WAITING)
        if earlier is not None:  # A second form on the same instance, before that is saved.
            self._fields = {*fields, *earlier._fields}
            self._cleared = {*cleared, *earlier._cleared}
        _detach_on_save(type(self.instance))
        setattr(self.instance, _WAITING, self)

    def save(self, save: Callable[[], None], using: str, only: Collection[str] | None) -> None:
        """Call ``save``, which saves the fields named in ``only`` or all, without the images."""
        delattr(self.instance, _WAITING)
        is_done = False
        try:
            with transaction.atomic(using=using, savepoint=False):
                left_out = self._detach(using, only)
                save()
                # A save() of the model's own may have looked at an image, and so have loaded it.
                for file_field in left_out:
                    _defer(self.instance, file_field, using)
            self._key = self.instance.pk
            is_done = only is None and all(owed.handed_over for owed in self._owed.values())
        finally:
            self.instance.__dict__.pop(_OWED, None)
            if not is_done:
                setattr(self.instance, _WAITING, self)

    def _detach(self, using: str, only: Collection[str] | None) -> list[FileField]:
        """Take the uploads off the instance; return the fields that the save leaves alone."""
        instance = self.instance
        if self._is_first:
            self._creates = instance._state.adding
        elif self._creates and not instance._state.adding and not _exists(instance, using):
            # Saved before, in a transaction that was rolled back, so it has to be made again.
            instance._state.adding = True
            for file_field in file_fields(instance):
                self._put_back(file_field)
        self._owed.update(self._detached(only))
        self._is_first = False
        owed = {name: owed for name, owed in self._owed.items() if owed.is_to_be_handed_over(using)}
        if owed:
            setattr(instance, _OWED, owed)
            # At the end of Model.save(), so that a save() of the model's own that goes on from
            # there, or saves the instance once more, finds it done.
            post_save.connect(_hand_over_owed, sender=type(instance), dispatch_uid=_OWED)
        inserts = self._inserts()
        left_out = [
            file_field
            for file_field in file_fields(instance)
            if (file_field.name in self._owed and self._owed[file_field.name].uploaded is not None)
            or not (inserts or self._is_changed(file_field))
        ]
        # A worker may have attached an image since the instance was loaded. Django writes no
        # deferred field, and loads it when it is asked for; the lock keeps what it loads from
        # changing.
        if left_out and not inserts:
            lock_instance(left_out, instance, using)
            for file_field in left_out:
                _defer(instance, file_field, using)
        return left_out

    def _detached(self, only: Collection[str] | None) -> Iterator[tuple[str, Owed]]:
        # What plain Django would store is what is on the instance and not committed, whichever form
        # field, clean() or view has put it there, and under the name that it has there.
        for file_field in file_fields(self.instance):
            if only is not None and file_field.name not in only:
                continue
            file = uncommitted_file(self.instance, file_field)
            if file is not None and file_field in self._fields:
                self._put_back(file_field)
                yield file_field.name, Owed(file.file, file.name)
            elif self._is_first and not self._inserts() and self._is_changed(file_field):
                yield file_field.name, Owed(None)

    def _put_back(self, file_field: FileField) -> None:
        """Put back what the instance had, past the descriptor, which would open an old image."""
        values = self.instance.__dict__
        for column in image_columns(file_field):
            if column.attname in self._held:
                held = self._held[column.attname]
                # A measure that must have a value keeps what was measured.
                if held is not None or column.null or column is file_field:
                    values[column.attname] = held
            elif self._inserts():
                values[column.attname] = column.get_default()
            else:
                values.pop(column.attname, None)

    def _inserts(self) -> bool:
        """Tell whether the save makes a row, as it does of a copy under a key of its own."""
        key = self.instance.pk
        is_copy = self._key is not None and key != self._key
        return self.instance._state.adding or key is None or is_copy

    def _is_changed(self, file_field: FileField) -> bool:
        values = self.instance.__dict__
        if file_field.name in self._cleared:
            return True  # It may be empty, but not by the time that the row is locked.
        if file_field.attname not in values:
            return False
        now, held = values[file_field.attname], self._held.get(file_field.attname)
        return not getattr(now, "_committed", True) or str(now or "") != str(held or "")


def has_own_save(model: type[Model]) -> bool:
    """Tell whether a model has a ``save()`` in its source, other than Django's."""
    return getattr(model.save, "_own_save", model.save) is not Model.save


def _detach_on_save(model: type[Model]) -> None:
    """
    Have ``save()`` of the model's instances begin with detaching, where that is waited for.

    A receiver of ``pre_save`` would come too late: by then a ``save()`` of the model's own has
    worked on the image in the request, and Django has settled which fields it writes.
    """
    save = model.save
    if hasattr(save, "_own_save"):
        return

    @wraps(save)
    def detach_and_save(self: Model, *args: Any, **kwargs: Any) -> None:
        waiting: Detachment | None = self.__dict__.get(_WAITING)
        # A copy of the instance has another's, and its image is saved as Django saves any.
        if waiting is None or waiting.instance is not self:
            save(self, *args, **kwargs)
            return
        using = kwargs.get("using") or router.db_for_write(type(self), instance=self)
        waiting.save(partial(save, self, *args, **kwargs), using, kwargs.get("update_fields"))

    detach_and_save._own_save = save  # type: ignore[attr-defined]
    model.save = detach_and_save  # type: ignore[method-assign]


def _hand_over_owed(instance: Model, created: bool, using: str, **kwargs: Any) -> None:
    """Hand over what was detached from the instance that was just saved."""
    waiting: dict[str, Owed] | None = instance.__dict__.pop(_OWED, None)
    if waiting is None:
        return
    for file_field in file_fields(instance):
        owed = waiting.get(file_field.name)
        if owed is None:
            continue
        if owed.uploaded is None:
            Upload.objects.using(using).for_instance(instance, file_field.name).discard()
        else:
            hand_over(
                instance,
                file_field,
                owed.uploaded,
                name=owed.name,
                using=using,
                upload_id=owed.upload_id,
                # A key that nobody chose has never been another instance's.
                is_new=created and _is_generated(file_field.model._meta.pk),
            )
            # The instance may be saved again, when a worker has attached the image already.
            _defer(instance, file_field, using)
        owed.handed_over = True
        transaction.on_commit(partial(setattr, owed, "committed", True), using=using)


def _exists(instance: Model, using: str) -> bool:
    return type(instance)._base_manager.using(using).filter(pk=instance.pk).exists()


def _is_generated(primary_key: Field[Any, Any]) -> bool:
    return isinstance(primary_key, AutoFieldMixin) or primary_key.has_default()


def _defer(instance: Model, file_field: FileField, using: str) -> None:
    """Have Django load the image when it is asked for, and not write it before."""
    columns = [column.attname for column in image_columns(file_field)]
    knows_deferred = file_field.descriptor_class.__get__ is FileDescriptor.__get__
    if knows_deferred and instance._state.db == using:
        for name in columns:
            instance.__dict__.pop(name, None)
        return
    # A descriptor of a third party may know no deferred fields, and Django writes them too if the
    # instance was read from another database, such as a replica: they get the values of now.
    rows = type(instance)._base_manager.using(using).filter(pk=instance.pk)
    instance.__dict__.update(rows.values(*columns).first() or {})
