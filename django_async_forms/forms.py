"""A ``ModelForm`` that keeps its images back and has a worker save them."""

from __future__ import annotations

import dataclasses
import types
import uuid
from collections.abc import Iterator, Sequence, Set
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.files.base import File
from django.db import router, transaction
from django.db.models import Field, FileField, ImageField, Model
from django.db.models.fields import AutoFieldMixin
from django.db.models.fields.files import FieldFile, FileDescriptor
from django.db.models.signals import post_save

from .fields import file_fields, image_columns, lock_instance
from .models import Upload
from .uploads import discard_on_delete, hand_over

if TYPE_CHECKING:
    _Form = forms.ModelForm[Any]
    _ModelForm = forms.ModelForm[Any]
else:
    _Form = object
    _ModelForm = forms.ModelForm

#: Where an instance keeps what its form has detached, until it is saved.
_OWED = "_async_forms_owed"


@dataclasses.dataclass(eq=False)
class Owed:
    """
    A file that a form has detached from its instance, and the name to save it by.

    Without a file, it says that nothing is owed any more.
    """

    uploaded: File[Any] | None
    name: str | None = None
    upload_id: uuid.UUID = dataclasses.field(default_factory=uuid.uuid4)
    handed_over: bool = False
    committed: bool = False

    def is_to_be_handed_over(self, using: str) -> bool:
        """Tell whether it was never handed over, or a rollback has undone that."""
        if not self.handed_over:
            return True
        rows = Upload.objects.using(using).filter(pk=self.upload_id)
        return not self.committed and not rows.exists()


class AsyncImageFormMixin(_Form):
    """
    Mix in before ``ModelForm``: saving the form saves the instance now and its images later.

    ::

        class PhotoForm(AsyncImageFormMixin, forms.ModelForm):
            class Meta:
                model = Photo
                fields = ["title", "image"]

    ``save()`` returns as fast as for a form without images. The instance keeps its old image, or
    none, until a worker has saved the new one. With ``commit=False`` the image is handed over when
    the instance is saved.
    """

    #: Names of the file fields that a worker saves. ``None`` stands for every ``ImageField`` that
    #: the form has; name them to leave one out, or to add a plain ``FileField``.
    async_fields: Sequence[str] | None = None

    _held: dict[str, Any] = {}
    _staying: Set[str] = frozenset()
    _owed: dict[str, Owed] | None = None
    _left_out: Sequence[FileField] = ()
    _creates = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        model = getattr(getattr(cls, "Meta", None), "model", None)
        if model is not None:
            discard_on_delete(model)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Validation puts the uploads on the instance, so what it has is remembered before: not the
        # upload of an earlier form, though, that an instance in a second form still has.
        self._held = {
            column.attname: self.instance.__dict__[column.attname]
            for field in file_fields(self.instance)
            if _uncommitted(self.instance, field) is None
            for column in image_columns(field)
            if column.attname in self.instance.__dict__
        }
        if not self.instance._state.adding:
            self._ask_for_nothing_that_is_owed()

    def _ask_for_nothing_that_is_owed(self) -> None:
        for field in self.get_async_fields():
            form_field = self.fields[field.name]
            if form_field.required and not getattr(self.instance, field.attname):
                owed = Upload.objects.for_instance(self.instance, field.name).exists()
                form_field.required = form_field.widget.is_required = not owed

    def get_async_fields(self) -> list[FileField]:
        """Return the model's file fields that a worker saves; override it to decide otherwise."""
        fields = [field for field in file_fields(self.instance) if field.name in self.fields]
        if self.async_fields is None:
            return [field for field in fields if isinstance(field, ImageField)]
        return [field for field in fields if field.name in self.async_fields]

    def save(self, commit: bool = True) -> Any:
        """
        Save the instance without its images, and hand those over to a worker.

        One transaction holds both, so either the instance is saved and its images are owed, or
        neither. Raises what ``ModelForm.save()`` raises, and what the staging storage raises.
        """
        if self.errors:
            return super().save(commit)  # Which raises ValueError, as for any ModelForm.
        using = router.db_for_write(type(self.instance), instance=self.instance)
        if not commit:
            self._detach(using)
            return super().save(commit=False)
        with transaction.atomic(using=using):
            self._detach(using)
            instance = super().save()
            # A save() of the model's own may have looked at an image, and so have loaded it.
            for field in self._left_out:
                _defer(instance, field, using)
        return instance

    def _post_clean(self) -> None:
        # Django would put an image that stays on the instance once more, which makes a field with
        # dimensions open it in its storage. It reads None as "no change".
        self._owed = None
        kept = {
            name: value
            for name, value in self.cleaned_data.items()
            if isinstance(value, FieldFile) and value.instance is self.instance
        }
        self._staying = set(kept)
        self.cleaned_data.update(dict.fromkeys(kept))
        super()._post_clean()  # type: ignore[misc]
        self.cleaned_data.update(kept)

    def _get_validation_exclusions(self) -> set[str]:
        # Validating the model puts each value back on the instance as well. An image that stays was
        # validated when it came.
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded | self._staying

    def _detach(self, using: str) -> None:
        """Take the uploads off the instance, for the time when it is saved."""
        instance = self.instance
        if self._owed is None:
            self._creates = instance._state.adding
            self._owed = dict(self._detached())
        elif self._creates and not instance._state.adding and not _exists(instance, using):
            # Saved before, in a transaction that was rolled back, so it has to be made again.
            instance._state.adding = True
            for field in file_fields(instance):
                self._put_back(field)
        self._left_out = [
            field
            for field in file_fields(instance)
            if (field.name in self._owed and self._owed[field.name].uploaded is not None)
            or not (instance._state.adding or self._is_changed(field))
        ]
        if not instance._state.adding:
            self._leave_alone(using)
        owed = {name: owed for name, owed in self._owed.items() if owed.is_to_be_handed_over(using)}
        if owed:
            setattr(instance, _OWED, owed)
            # Any save() of the instance hands over what is owed to it, whoever calls it: a formset,
            # the admin, or a view after commit=False, with or without save_m2m().
            post_save.connect(_hand_over_owed, sender=type(instance), dispatch_uid=_OWED)

    def _detached(self) -> Iterator[tuple[str, Owed]]:
        # What plain Django would store is what is on the instance and not committed, whichever form
        # field, clean() or view has put it there, and under the name that it has there.
        async_fields = self.get_async_fields()
        for field in file_fields(self.instance):
            file = _uncommitted(self.instance, field)
            if file is not None and field in async_fields:
                self._put_back(field)
                yield field.name, Owed(file.file, file.name)
            elif not self.instance._state.adding and self._is_changed(field):
                yield field.name, Owed(None)

    def _put_back(self, field: FileField) -> None:
        """Put back what the instance had, past the descriptor, which would open an old image."""
        values = self.instance.__dict__
        for column in image_columns(field):
            if column.attname in self._held:
                held = self._held[column.attname]
                # A measure that must have a value keeps what was measured.
                if held is not None or column.null or column is field:
                    values[column.attname] = held
            elif self.instance._state.adding:
                values[column.attname] = column.get_default()
            else:
                values.pop(column.attname, None)

    def _leave_alone(self, using: str) -> None:
        """
        Keep the save from writing images that this form does not change.

        A worker may have attached one since the instance was loaded. Django writes no deferred
        field, and loads it when it is asked for; the lock keeps what it loads from changing.
        """
        if self._left_out and transaction.get_connection(using).in_atomic_block:
            lock_instance(self._left_out, self.instance, using)
        for field in self._left_out:
            _defer(self.instance, field, using)

    def _is_changed(self, field: FileField) -> bool:
        values = self.instance.__dict__
        if getattr(self, "cleaned_data", {}).get(field.name) is False:
            return True  # Cleared. It may be empty, but not by the time that the row is locked.
        if field.attname not in values:
            return False
        now, held = values[field.attname], self._held.get(field.attname)
        return not getattr(now, "_committed", True) or str(now or "") != str(held or "")


class AsyncImageModelForm(AsyncImageFormMixin, _ModelForm):
    """The mixin on ``ModelForm``, for ``ModelAdmin.form``, ``modelform_factory`` and formsets."""


@lru_cache(maxsize=256)
def async_form_class(form_class: type[Any]) -> type[Any]:
    """Return ``form_class`` with the mixin on it, or itself if it has it already."""
    if issubclass(form_class, AsyncImageFormMixin):
        return form_class
    return types.new_class(
        f"Async{form_class.__name__}",
        (AsyncImageFormMixin, form_class),
        exec_body=lambda attributes: attributes.update(__module__=form_class.__module__),
    )


def _exists(instance: Model, using: str) -> bool:
    return type(instance)._base_manager.using(using).filter(pk=instance.pk).exists()


def _is_generated(primary_key: Field[Any, Any]) -> bool:
    return isinstance(primary_key, AutoFieldMixin) or primary_key.has_default()


def _uncommitted(instance: Model, field: FileField) -> FieldFile | None:
    """Return the file that saving the instance would store for ``field``, if there is one."""
    if not isinstance(instance.__dict__.get(field.attname), File):
        return None
    file: FieldFile = getattr(instance, field.attname)
    return file if file and not getattr(file, "_committed", True) else None


def _defer(instance: Model, field: FileField, using: str) -> None:
    """Have Django load the image when it is asked for, and not write it before."""
    columns = [column.attname for column in image_columns(field)]
    if field.descriptor_class.__get__ is FileDescriptor.__get__:
        for name in columns:
            instance.__dict__.pop(name, None)
        return
    # A descriptor of a third party may know no deferred fields: it gets the values of now.
    rows = type(instance)._base_manager.using(using).filter(pk=instance.pk)
    instance.__dict__.update(rows.values(*columns).first() or {})


def _hand_over_owed(instance: Model, created: bool, using: str, **kwargs: Any) -> None:
    """Hand over what a form has detached from the instance that was just saved."""
    waiting: dict[str, Owed] | None = instance.__dict__.get(_OWED)
    if waiting is None:
        return
    fields = [field for field in file_fields(instance) if field.name in waiting]
    with transaction.atomic(using=using):
        for field in fields:
            owed = waiting[field.name]
            if owed.uploaded is None:
                Upload.objects.using(using).for_instance(instance, field.name).discard()
            else:
                hand_over(
                    instance,
                    field,
                    owed.uploaded,
                    name=owed.name,
                    using=using,
                    upload_id=owed.upload_id,
                    # A key that nobody chose has never been another instance's.
                    is_new=created and _is_generated(field.model._meta.pk),
                )
                # The instance may be saved again, when a worker has attached the image already.
                _defer(instance, field, using)
            owed.handed_over = True
            transaction.on_commit(partial(setattr, owed, "committed", True), using=using)
    delattr(instance, _OWED)
