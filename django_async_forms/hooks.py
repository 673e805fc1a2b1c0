"""
All changes to a project's models: wrappers around five methods, and receivers of two signals.

Nothing gentler works:

- ``save()``: an overridden ``save()`` must not find the image in the request. So the image leaves
  the instance before ``save()`` begins, which is earlier than ``pre_save``.
- ``_save_table()``: the upload must commit with Django's own write and nothing else. A transaction
  around ``save_base()`` would contain the receivers of signals, and one that raises would undo the
  row.
- ``clean_fields()``: a model that validates itself (``full_clean()`` in ``save()``) must not miss a
  required image that is pending. A form's validation must not open the file of an unchanged image.
- ``from_db()`` and ``refresh_from_db()``: they note what was loaded, so that a form can tell it
  from what other code has changed since.
- ``pre_save``: a worker stores the image before Django opens its transaction for a model with
  parents.
- ``post_delete``: a key may be used again, so an instance's uploads are discarded with it,
  whichever process deletes it.

Every model with a file field is hooked, in every process, because an instance that a form has saved
can be pickled, and saved or deleted in a process that imports no form. For an instance without a
handler, that costs about 1.5 µs when it is loaded and 20 µs when it is saved.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import cache, partial, wraps
from inspect import getattr_static
from typing import Any

from django.apps import apps
from django.db import DatabaseError, transaction
from django.db.models import F, Field, FileField, Model
from django.db.models.signals import class_prepared, post_delete, pre_save

from .draft_model import Draft, using_up
from .fields import Target, file_fields, image_columns, labels_sharing, rows, uncommitted_file
from .models import Upload, has_image, has_outbox, has_upload
from .snapshot import FoundUploads, Snapshot, note_loaded, note_saved

_UID = "django_async_forms"


class SaveHandler:
    """
    Takes part in each ``save()`` of an instance, and handles its images.

    A handler that refers to its instance keeps both in memory until ``forget()`` is called.
    """

    def save(self, instance: Model, save: Callable[[], Any], saves_all_fields: bool) -> Any:
        """
        Call ``save``, the instance's whole ``save()``, which may be overridden.

        With ``saves_all_fields``, the caller has passed no ``update_fields``. An overridden
        ``save()`` may still pass some to Django: the fields that look changed without the image.
        """
        return save()

    def refreshed(self, instance: Model, columns: Collection[Field[Any, Any]]) -> None:
        """Note that these image columns of the instance were refreshed from the database."""

    def before_write(self) -> None:
        """Prepare the write before Django opens its transaction for a model with parents."""

    def write(self, write: TableWrite) -> bool:
        """Write the instance to one of its tables; return False if that inserted a row."""
        return write()

    def taken_off_fields(self) -> Collection[str]:
        """Return the names of the fields whose images this save has taken off the instance."""
        return ()


class _Handled:
    def __init__(self, instance: weakref.ref[Model], handler: SaveHandler) -> None:
        self.instance = instance
        self.handler = handler
        self.is_active = False


#: By the id of the instance. The instance itself cannot be a key: it has no hash before it has a
#: primary key, and it equals every other instance with the same key.
_handled: dict[int, _Handled] = {}


def handle_saves(instance: Model, handler: SaveHandler) -> None:
    """Make ``handler`` take part in each ``save()`` of an instance, but not of its copies."""
    key = id(instance)
    reference = weakref.ref(instance, lambda _: _handled.pop(key, None))
    _handled[key] = _Handled(reference, handler)


def handler_of(instance: Model) -> SaveHandler | None:
    """Return the handler that takes part in ``save()`` of an instance."""
    handled = _find(instance)
    return None if handled is None else handled.handler


def forget(instance: Model) -> None:
    """Let no handler take part in ``save()`` of an instance any longer."""
    _handled.pop(id(instance), None)


#: What is called with each instance that is about to be saved, within a ``block.Block``.
before_save: ContextVar[Callable[[Model], None] | None] = ContextVar(
    "async_forms_before_save", default=None
)


#: The instance that a form validates, and the names of its unchanged images.
_unchanged: ContextVar[tuple[Model, Collection[str]] | None] = ContextVar(
    "async_forms_unchanged", default=None
)


@contextmanager
def not_cleaning(instance: Model, names: Collection[str]) -> Iterator[None]:
    """
    Let ``clean_fields()`` of an instance leave out some fields.

    Unlike those in ``exclude`` of ``full_clean()``, they still take part in constraints.
    """
    token = _unchanged.set((instance, names))
    try:
        yield
    finally:
        _unchanged.reset(token)


def _find(instance: Model) -> _Handled | None:
    handled = _handled.get(id(instance))
    return handled if handled is not None and handled.instance() is instance else None


def _find_active(instance: Model) -> _Handled | None:
    handled = _find(instance)
    return handled if handled is not None and handled.is_active else None


class TableWrite:
    """Django's write of an instance to one of its tables. Calling the object performs the write."""

    def __init__(
        self,
        perform: Callable[..., bool],
        instance: Model,
        table: type[Model],
        force_insert: Any,
        force_update: bool,
        using: str,
        update_fields: Collection[str] | None,
    ) -> None:
        self.instance = instance
        self.table = table
        self.using = using
        self.update_fields = update_fields
        self.had_key = bool(instance._is_pk_set(table._meta))  # type: ignore[attr-defined]
        self.inserts = bool(force_insert) or instance._state.adding or not self.had_key
        self._is_forced = bool(update_fields or force_update)
        self._perform = partial(perform, table, force_insert, force_update, using)

    def includes(self, field: Field[Any, Any]) -> bool:
        """Tell whether the save includes a field of this table or another."""
        names = self.update_fields
        return names is None or field.name in names or field.attname in names

    def file_fields(self) -> list[FileField]:
        """Return the file fields of the table."""
        return [field for field in file_fields(self.table) if field.model is self.table]

    def written_fields(self, without: Collection[str]) -> list[FileField]:
        """Return the file fields of which a write that leaves out some columns writes one."""
        return [
            field
            for field in self.file_fields()
            if any(column.name not in without for column in image_columns(field))
        ]

    def drafts(self) -> list[Draft]:
        """Return the drafts of the images that this write stores itself."""
        files = (uncommitted_file(self.instance, f) for f in self.file_fields() if self.includes(f))
        drafts = (getattr(getattr(file, "_file", None), "draft", None) for file in files)
        # Two fields may have one.
        return list(dict.fromkeys(draft for draft in drafts if isinstance(draft, Draft)))

    @contextmanager
    def restoring_key(self) -> Iterator[None]:
        """
        Let an instance have the key that it had before, if the block raises.

        An insert sets the key, and its transaction is rolled back. SQLite gives the key to another
        row then, which a second ``save()`` of the instance would overwrite.
        """
        values = self.instance.__dict__
        key = {column.attname: values.get(column.attname) for column in self.table._meta.pk_fields}
        try:
            yield
        except BaseException:
            values.update(key)
            raise

    def __call__(self, without: Collection[str] = ()) -> bool:
        """
        Perform the write; an update leaves out the columns named in ``without``.

        Return False for an insert. Django refuses an update of some fields if the row does not
        exist. In that case, write the whole instance, which inserts it as in plain Django.
        """
        fields = self._fields(without)
        if fields is None:
            return bool(self._perform(self.update_fields))
        try:
            return self._update(fields)
        except DatabaseError as error:
            if self._is_forced or not _is_not_updated(error):
                raise
        return bool(self._perform(self.update_fields))

    def _fields(self, without: Collection[str]) -> frozenset[str] | None:
        """Return the names of the columns to update, or None to let Django choose."""
        local = {
            field.name: field.attname
            for field in self.table._meta.local_concrete_fields
            if field not in self.table._meta.pk_fields and not field.generated
        }
        if self.inserts or not local.keys() & set(without):
            return None
        wanted = self.update_fields
        return frozenset(
            name
            for name, attname in local.items()
            if name not in without and (wanted is None or name in wanted or attname in wanted)
        )

    def _update(self, fields: frozenset[str]) -> bool:
        if fields:
            return bool(self._perform(fields))
        # For Django, an empty set means all fields. A write that changes nothing locks the row as
        # an update does, and shows whether it exists.
        row = rows(self.table, self.using).filter(pk=self.instance._get_pk_val(self.table._meta))
        column = self.file_fields()[0]
        if not row.update(**{column.attname: F(column.attname)}):
            raise getattr(self.instance, "NotUpdated", DatabaseError)("There is no such row.")
        return True


def _is_not_updated(error: DatabaseError) -> bool:
    """Tell whether Django itself has raised this error, for an update that matched no row."""
    # https://docs.djangoproject.com/en/6.0/ref/exceptions/#objectnotupdated
    return type(error) is DatabaseError or type(error).__name__ == "NotUpdated"


def install() -> None:
    """Hook every model with a file field, including models that are defined later."""
    for model in apps.get_models(include_auto_created=True):
        _hook(model)
    class_prepared.connect(_hook_prepared, dispatch_uid=_UID)


def _hook_prepared(sender: type[Model], **kwargs: Any) -> None:
    labels_sharing.cache_clear()
    # Models of migrations have another registry, and their tables may differ from today's.
    if sender._meta.apps is apps:
        _hook(sender)


def _hook(model: type[Model]) -> None:
    if not file_fields(model):
        return
    post_delete.connect(_discard_uploads, sender=model, dispatch_uid=_UID)
    for name, wrapper in _WRAPPERS.items():
        is_hooked = any(vars(base).get(name) in _wrappers for base in model.__mro__)
        # An overridden save() is wrapped again, so that the wrapper runs first.
        is_own_save = name == "save" and name in vars(model) and model.save not in _wrappers
        if is_own_save or not is_hooked:
            setattr(model, name, _wrapper_of(model, name, wrapper))
    _hook_from_db(model)


def _hook_from_db(model: type[Model]) -> None:
    from_db: Any = getattr_static(model, "from_db")
    while getattr(from_db, "__func__", None) in _wrappers:
        from_db = from_db.__func__.__wrapped__  # The parent's notes no image of the child.
    columns = [column for field in file_fields(model) for column in image_columns(field)]

    @wraps(from_db)
    def wrapped(cls: type[Model], *args: Any, **kwargs: Any) -> Model:
        instance: Model = from_db.__get__(None, cls)(*args, **kwargs)
        note_loaded(instance, columns)
        return instance

    _wrappers.add(wrapped)
    model.from_db = classmethod(wrapped)  # type: ignore[assignment]


def overrides_save(model: type[Model]) -> bool:
    """Tell whether the ``save()`` of a model is overridden."""
    classes = model.__mro__[: model.__mro__.index(Model)]
    return any("save" in vars(base) and vars(base)["save"] not in _inherited for base in classes)


#: All wrappers.
_wrappers: weakref.WeakSet[Any] = weakref.WeakSet()
#: The wrappers of methods that their class inherits.
_inherited: weakref.WeakSet[Any] = weakref.WeakSet()


def _wrapper_of(model: type[Model], name: str, wrapper: Callable[..., Any]) -> Any:
    method = vars(model).get(name)

    @wraps(getattr(model, name))
    def wrapped(self: Model, *args: Any, **kwargs: Any) -> Any:
        if method is not None:
            # Not partial(): a decorator may return an object that only binds to the instance.
            return wrapper(self, method.__get__(self, type(self)), *args, **kwargs)
        # Look the next method up at each call: a child may add another base class after this one.
        following = getattr(super(model, self), name)
        # The wrapper of one parent calls that of another.
        if name != "save" and _is_wrapped_before(model, type(self), name):
            return following(*args, **kwargs)
        return wrapper(self, following, *args, **kwargs)

    _wrappers.add(wrapped)
    if method is None:
        _inherited.add(wrapped)
    return wrapped


@cache
def _is_wrapped_before(model: type[Model], child: type[Model], name: str) -> bool:
    """Tell whether a method is wrapped in a base of ``child`` that comes before ``model``."""
    before = child.__mro__[: child.__mro__.index(model)]
    return any(vars(base).get(name) in _wrappers for base in before)


def _save(self: Model, save: Any, *args: Any, **kwargs: Any) -> Any:
    prepare = before_save.get()
    if prepare is not None:
        prepare(self)
    handled = _find(self)
    if handled is None or handled.is_active:
        return save(*args, **kwargs)
    handled.is_active = True
    try:
        names = kwargs.get("update_fields") if len(args) < 4 else args[3]
        return handled.handler.save(
            self, partial(save, *args, **kwargs), saves_all_fields=names is None
        )
    finally:
        handled.is_active = False


def _save_table(
    self: Model,
    save_table: Any,
    raw: bool = False,
    cls: Any = None,
    force_insert: Any = False,
    force_update: bool = False,
    using: Any = None,
    update_fields: Collection[str] | None = None,
) -> bool:
    handled, snapshot = _find_active(self), Snapshot.installed_on(self)
    perform = partial(save_table, raw)
    write = TableWrite(perform, self, cls, force_insert, force_update, using, update_fields)
    if handled is not None:
        return handled.handler.write(write)
    # Code without the package may save an image that a page has sent as a draft.
    drafts = write.drafts()
    is_open = transaction.atomic(using, savepoint=False) if drafts else nullcontext()
    with is_open, using_up(drafts):
        if snapshot is None:
            updated = bool(perform(cls, force_insert, force_update, using, update_fields))
        else:
            # Code saves the instance of a form, or a copy of it, again. Leave out image columns
            # that it has not changed, so that an image that a worker has attached meanwhile stays.
            without = snapshot.unchanged(self, using)
            updated = write(without)
            snapshot.without(self, write.written_fields(without)).install(self)
    columns = [column for field in write.file_fields() for column in image_columns(field)]
    note_saved(self, [column for column in columns if write.includes(column)], using)
    return updated


def _clean_fields(self: Model, clean_fields: Any, exclude: Any = None) -> None:
    empty = [
        field
        for field in file_fields(self)
        if not field.blank and not self.__dict__.get(field.attname, True)
    ]
    if (empty and not self._state.adding) or _find_active(self):
        exclude = {*(exclude or ()), *_pending_names(self, empty)}
    unchanged = _unchanged.get()
    if unchanged is not None and unchanged[0] is self:
        exclude = {*(exclude or ()), *unchanged[1]}
    clean_fields(exclude=exclude)


def _refresh_from_db(self: Model, refresh: Any, *args: Any, **kwargs: Any) -> None:
    # Both Django and this function read the names, which may come from a generator.
    names = kwargs.get("fields") if len(args) < 2 else args[1]
    if names is not None:
        names = list(names)
        if len(args) < 2:
            kwargs["fields"] = names
        else:
            args = (args[0], names, *args[2:])
    refresh(*args, **kwargs)
    columns = [
        column
        for field in file_fields(self)
        for column in image_columns(field)
        # Setting an image sets its dimensions.
        if names is None or field.name in names or column.name in names
    ]
    if columns:
        FoundUploads.of(self).clear()
        Snapshot.renew(self, columns)
        handled = _find(self)
        if handled is not None:
            handled.handler.refreshed(self, columns)


def _pending_names(instance: Model, empty: list[FileField]) -> set[str]:
    """Return the names of the columns of those ``empty`` fields that have an upload."""
    handled = _find_active(instance)
    taken_off = handled.handler.taken_off_fields() if handled is not None else ()

    def is_pending(field: FileField) -> bool:
        # This save does not write an image that nobody has changed. So one that was attached since
        # the instance was loaded stays.
        is_left = handled is not None and Snapshot.is_as_loaded(instance, field)
        return has_image(instance, field) if is_left else has_upload(instance, field)

    return {
        column.name
        for field in empty
        if field.name in taken_off or is_pending(field)
        for column in image_columns(field)
    }


def connect_pre_save(model: type[Model]) -> None:
    """
    Have ``Change.before_write()`` called after the other receivers of ``pre_save``.

    Receivers run in the order in which they were connected. So connect this one as late as
    possible: at the first attempt for a model, not when the process starts.
    """
    pre_save.connect(_before_write, sender=model, dispatch_uid=_UID)


def _before_write(instance: Model, **kwargs: Any) -> None:
    handled = _find_active(instance)
    if handled is not None:
        handled.handler.before_write()


_WRAPPERS: dict[str, Callable[..., Any]] = {
    "save": _save,
    "_save_table": _save_table,
    "clean_fields": _clean_fields,
    "refresh_from_db": _refresh_from_db,
}


def _discard_uploads(sender: type[Model], instance: Model, using: str, **kwargs: Any) -> None:
    # Only the fields of the deleted row. A parent's row may stay (keep_parents); if it is deleted
    # too, it has its own signal. A proxy has no table, and its signal replaces that of its model.
    fields = [field for field in file_fields(sender) if field.model is sender._meta.concrete_model]
    if fields and has_outbox(using):
        targets = {Target.of(instance, field) for field in fields}
        Upload.objects.using(using).for_targets(targets).discard()
