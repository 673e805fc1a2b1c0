"""The run's own folders in storages, which a user names, and proof that the run stays in them."""

import posixpath
import shutil
from contextlib import contextmanager

from .errors import SettingsError


def own(alias, entry, folder, mixin=None):
    """
    Return the storage of an entry of STORAGES in its own ``folder``, with a mixin before its class.

    Without a folder, this is the storage as the entry names it.
    """
    from django.utils.module_loading import import_string

    options = entry.get("OPTIONS", {})
    with refusing(alias):
        kind = import_string(entry["BACKEND"])
        if folder:
            options = {**options, "location": _location(kind, options, folder)}
        kind = type(kind.__name__, (mixin, kind), {}) if mixin else kind
        return kind(**options)


@contextmanager
def refusing(alias):
    """Turn an error into a ``SettingsError`` that names the entry of STORAGES."""
    setting = f'STORAGES["{alias}"] cannot be used: '
    try:
        yield
    except SettingsError as error:
        text = str(error)
        raise SettingsError(text if text.startswith(setting) else setting + text) from error
    except Exception as error:  # The class may be the user's, and may raise anything.
        raise SettingsError(f"{setting}{error!r}") from error


def _location(kind, options, folder):
    location = getattr(kind(**options), "location", None)
    if location is None:
        raise SettingsError(
            f"{kind.__module__}.{kind.__qualname__} has no option location, so the run cannot "
            "keep to a folder of its own there. Name a storage that has one, such as Django's "
            "FileSystemStorage or one of django-storages."
        )
    return posixpath.join(str(location), folder)


def is_database(entry):
    """Tell whether an entry of STORAGES is a storage in the run's own database."""
    from django.utils.module_loading import import_string

    from django_async_forms.storage import DatabaseStorage

    try:
        kind = import_string(entry["BACKEND"])
    except ImportError:
        return False  # Which the check tells.
    return isinstance(kind, type) and issubclass(kind, DatabaseStorage)


def check(alias, entry, folder, is_final):
    """
    Save two files with one name, look where they are, and remove them.

    Raises ``SettingsError`` if they are outside ``folder``, or if one has overwritten the other.
    """
    names = []
    with refusing(alias):
        storage = own(alias, entry, folder)
        try:
            _check(storage, own(alias, entry, None), folder, names)
            if is_final and names[0] == names[1]:
                raise SettingsError(
                    "it overwrites a file of the same name, and the package does not promise to "
                    "keep such images apart. In django-storages, set file_overwrite to False."
                )
        finally:
            for name in set(names):
                storage.delete(name)


def _check(storage, shared, folder, names):
    from django.core.files.base import ContentFile

    for content in (b"1", b"2"):
        names.append(storage.save("faults/probe.txt", ContentFile(content)))
    if not all(shared.exists(f"{folder}/{name}") for name in names):
        raise SettingsError(
            "it does not write into its option location, so the run would leave its own folder."
        )
    if not {name.split("/")[-1] for name in names} <= set(storage.listdir("faults")[1]):
        raise SettingsError("it does not list its files, so the run could not remove them.")


def files(storage, folder=""):
    """Return the names of all files in a storage."""
    try:
        folders, found = storage.listdir(folder)
    except FileNotFoundError:
        return []
    found = [f"{folder}/{name}".lstrip("/") for name in found if name]
    for name in folders:
        found += files(storage, f"{folder}/{name}".lstrip("/"))
    return found


def remove(alias, entry, folder):
    """Remove all files in the run's own folder, and the folder if it is one on a disk."""
    from django.core.files.storage import FileSystemStorage

    storage = own(alias, entry, folder)
    for name in files(storage):
        storage.delete(name)
    if isinstance(storage, FileSystemStorage):
        shutil.rmtree(storage.location, ignore_errors=True)
