"""Final storages and fields of any kind: a worker stores the same as plain Django."""

import threading

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage
from django.db.models.fields.files import ImageFieldFile
from django.utils.functional import LazyObject, SimpleLazyObject

from django_async_forms.signals import image_saved
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.project.models import Place
from tests.situations.forms import async_form, both, bytes_of, form_for, loaded

pytestmark = pytest.mark.django_db

FIELD = Place._meta.get_field("image")


class Locked(FileSystemStorage):
    """Holds an object that cannot be copied."""

    def __init__(self, location):
        super().__init__(location)
        self.lock = threading.RLock()

    def save(self, name, content, max_length=None):
        with self.lock:
            return super().save(name, content, max_length)


class Private(FileSystemStorage):
    """Has an attribute whose name Python mangles with the name of the class."""

    def __init__(self, location):
        super().__init__(location)
        self.__folder = "private"

    def _save(self, name, content):
        return super()._save(f"{self.__folder}/{name}", content)


class Delegating(Storage):
    """Keeps its files in another storage."""

    def __init__(self, location):
        self.inner = FileSystemStorage(location)

    def _open(self, name, mode="rb"):
        return self.inner.open(name, mode)

    def _save(self, name, content):
        return self.inner.save(name, content)

    def exists(self, name):
        return self.inner.exists(name)

    def delete(self, name):
        self.inner.delete(name)

    def size(self, name):
        return self.inner.size(name)

    def get_modified_time(self, name):
        return self.inner.get_modified_time(name)


class Overwriting(FileSystemStorage):
    """Gives each file a fixed name."""

    def get_available_name(self, name, max_length=None):
        self.delete(name)
        return name


class Naming(FileSystemStorage):
    """Chooses names itself."""

    def get_valid_name(self, name):
        return f"valid_{super().get_valid_name(name)}"

    def generate_filename(self, filename):
        return f"generated/{super().generate_filename(filename)}"


class Closing(FileSystemStorage):
    """Closes the file that it has stored."""

    def _save(self, name, content):
        name = super()._save(name, content)
        content.close()
        return name


class ByProperty(FileSystemStorage):
    """Computes its folder at each access."""

    def __init__(self, location):
        super().__init__()
        self.folder = location

    @property
    def base_location(self):
        return self.folder

    location = base_location


class Lazy(LazyObject):
    def __init__(self, location):
        super().__init__()
        self.__dict__["_folder"] = location

    def _setup(self):
        self._wrapped = FileSystemStorage(self.__dict__["_folder"])


STORAGES = {
    storage.__name__: storage
    for storage in (
        Locked,
        Private,
        Delegating,
        Overwriting,
        Naming,
        Closing,
        ByProperty,
        Lazy,
    )
}
STORAGES["SimpleLazy"] = lambda location: SimpleLazyObject(lambda: FileSystemStorage(location))


@both
@pytest.mark.parametrize("storage", STORAGES)
def test_an_image_is_stored_and_replaced_in_this_storage(
    storage, base, in_memory, tmp_path, monkeypatch, location
):
    monkeypatch.setattr(FIELD, "storage", STORAGES[storage](tmp_path / "final"))
    first, second = pictures.jpeg(), pictures.jpeg()
    place = form_for(base, Place, {"name": "x"}, {"image": in_memory(data=first)}).save()
    save_pending_uploads()
    assert bytes_of(place) == first

    files = {"image": in_memory(data=second)}
    form_for(base, Place, {"name": "y"}, files, loaded(place)).save()
    save_pending_uploads()

    assert (loaded(place).name, bytes_of(place)) == ("y", second)


@pytest.mark.parametrize("storage", STORAGES)
def test_the_storage_of_the_instance_that_image_saved_has_is_that_of_the_field(
    connect, storage, in_memory, tmp_path, monkeypatch
):
    final = STORAGES[storage](tmp_path / "final")
    monkeypatch.setattr(FIELD, "storage", final)
    storages = []

    def receive(instance, **kwargs):
        storages.append(instance.image.storage)

    connect(image_saved, receive)
    async_form(Place, {"name": "x"}, {"image": in_memory()}).save()
    save_pending_uploads()

    assert [type(each) for each in storages] == [type(final)]


# FieldFile subclasses


class Processing(ImageFieldFile):
    """Stores other bytes under another name."""

    def save(self, name, content, save=True):
        super().save(f"processed_{name}", ContentFile(content.read()[::-1]), save=False)
        if save:
            self.instance.save()


class SavingAlways(ImageFieldFile):
    """Always saves the instance."""

    def save(self, name, content, save=True):
        super().save(name, content, save=True)


class ByInstance(ImageFieldFile):
    """Uses a storage that the instance chooses."""

    second = None

    def __init__(self, instance, field, name):
        super().__init__(instance, field, name)
        if instance.__dict__.get("name") == "second":
            self.storage = self.second


@both
def test_a_file_that_processes_its_image_is_stored_processed(base, in_memory, monkeypatch):
    monkeypatch.setattr(FIELD, "attr_class", Processing)
    data = pictures.jpeg()
    place = form_for(base, Place, {"name": "x"}, {"image": in_memory(data=data)}).save()
    save_pending_uploads()

    assert loaded(place).image.name == "places/processed_dune.jpg"
    assert bytes_of(place) == data[::-1]


def test_a_file_that_saves_its_instance_whatever_it_is_told_is_attached_once(
    in_memory, monkeypatch
):
    monkeypatch.setattr(FIELD, "attr_class", SavingAlways)
    data = pictures.jpeg()
    place = async_form(Place, {"name": "x"}, {"image": in_memory(data=data)}).save()

    save_pending_uploads()

    assert Place.objects.count() == 1
    assert bytes_of(place) == data


@both
def test_an_image_is_stored_where_its_instance_says(base, in_memory, monkeypatch, tmp_path):
    monkeypatch.setattr(ByInstance, "second", FileSystemStorage(tmp_path / "second"))
    monkeypatch.setattr(FIELD, "attr_class", ByInstance)
    form_for(base, Place, {"name": "second"}, {"image": in_memory()}).save()
    save_pending_uploads()

    assert (tmp_path / "second" / "places" / "dune.jpg").exists()


@both
def test_a_pre_save_that_renames_the_image_names_it(base, in_memory, monkeypatch):
    pre_save = FIELD.pre_save

    def rename(instance, add):
        file = instance.image
        if file and not file._committed:
            file.name = f"renamed-{file.name}"
        return pre_save(instance, add)

    monkeypatch.setattr(FIELD, "pre_save", rename)
    place = form_for(base, Place, {"name": "x"}, {"image": in_memory()}).save()
    save_pending_uploads()

    assert loaded(place).image.name == "places/renamed-dune.jpg"


@both
def test_a_field_that_generates_names_by_itself_does_so(base, in_memory, monkeypatch):
    monkeypatch.setattr(FIELD, "generate_filename", lambda instance, name: f"own/{name[::-1]}")
    place = form_for(base, Place, {"name": "x"}, {"image": in_memory("dune.jpg")}).save()
    save_pending_uploads()

    assert loaded(place).image.name == "own/gpj.enud"
