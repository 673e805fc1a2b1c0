"""Final storages and fields of any kind: a worker stores the same as plain Django."""

import os
import threading

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage
from django.db.models.fields.files import ImageFieldFile
from django.db.models.signals import post_save
from django.utils.functional import LazyObject, SimpleLazyObject

from django_async_forms.attach import attach
from django_async_forms.models import Upload
from django_async_forms.signals import image_saved
from tests import pictures
from tests.project.models import Document, Place
from tests.situations.forms import async_form, async_saved, both, bytes_of, saved

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


class ByName(FileSystemStorage):
    """Takes its last argument by name only, as Django passes it."""

    def save(self, name, content, *, max_length=None):
        return super().save(name, content, max_length=max_length)


class Composed:
    """Wraps another storage, and is not a Storage itself."""

    def __init__(self, location):
        self.inner = FileSystemStorage(location)

    def __getattr__(self, name):
        return getattr(self.inner, name)


class WithSlots(FileSystemStorage):
    __slots__ = ("folder",)

    def __init__(self, location):
        super().__init__(location)
        self.folder = "folder"

    def _save(self, name, content):
        return super()._save(f"{self.folder}/{name}", content)


class Final(FileSystemStorage):
    def __init_subclass__(cls, **kwargs):
        raise TypeError("This class is final.")


def simple_lazy(location):
    return SimpleLazyObject(lambda: FileSystemStorage(location))


STORAGES = [Locked, Private, Delegating, Overwriting, Naming, Closing, ByProperty, Lazy]
STORAGES += [simple_lazy, ByName, Composed, WithSlots, Final]


@pytest.fixture(params=STORAGES)
def storage(request, tmp_path, monkeypatch):
    """Each of these storages, as the field's."""
    storage = request.param(tmp_path / "final")
    monkeypatch.setattr(FIELD, "storage", storage)
    return storage


@both
def test_an_image_is_stored_and_replaced_in_this_storage(storage, base, in_memory, location):
    first, second = pictures.jpeg(), pictures.jpeg()
    place = saved(base, Place, {"name": "x"}, {"image": in_memory(data=first)})
    assert bytes_of(place) == first

    place = saved(base, Place, {"name": "y"}, {"image": in_memory(data=second)}, place)
    assert (place.name, bytes_of(place)) == ("y", second)


def test_the_storage_of_the_instance_that_image_saved_has_is_that_of_the_field(
    connect, storage, image
):
    storages = []

    def receive(instance, **kwargs):
        storages.append(instance.image.storage)

    connect(image_saved, receive)
    async_saved(Place, {"name": "x"}, {"image": image})

    assert [type(each) for each in storages] == [type(storage)]


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
def test_a_file_that_processes_its_image_is_stored_processed(base, image, monkeypatch):
    monkeypatch.setattr(FIELD, "attr_class", Processing)
    place = saved(base, Place, {"name": "x"}, {"image": image})

    assert place.image.name == "places/processed_dune.jpg"
    assert bytes_of(place) == image.data[::-1]


def test_a_file_that_saves_its_instance_whatever_it_is_told_is_attached_once(image, monkeypatch):
    monkeypatch.setattr(FIELD, "attr_class", SavingAlways)
    place = async_saved(Place, {"name": "x"}, {"image": image})

    assert Place.objects.count() == 1
    assert bytes_of(place) == image.data


@both
def test_an_image_is_stored_where_its_instance_says(base, image, monkeypatch, tmp_path):
    monkeypatch.setattr(ByInstance, "second", FileSystemStorage(tmp_path / "second"))
    monkeypatch.setattr(FIELD, "attr_class", ByInstance)
    saved(base, Place, {"name": "second"}, {"image": image})

    assert (tmp_path / "second" / "places" / "dune.jpg").exists()


def test_the_storage_that_an_instance_has_chosen_is_that_of_the_instance_that_image_saved_has(
    connect, image, monkeypatch, tmp_path
):
    monkeypatch.setattr(ByInstance, "second", FileSystemStorage(tmp_path / "second"))
    monkeypatch.setattr(FIELD, "attr_class", ByInstance)
    there = []

    def receive(instance, **kwargs):
        there.append(instance.image.storage.exists(instance.image.name))

    connect(image_saved, receive)
    async_saved(Place, {"name": "second"}, {"image": image})

    assert there == [True]


@both
def test_a_pre_save_that_renames_the_image_names_it(base, image, monkeypatch):
    pre_save = FIELD.pre_save

    def rename(instance, add):
        file = instance.image
        if file and not file._committed:
            file.name = f"renamed-{file.name}"
        return pre_save(instance, add)

    monkeypatch.setattr(FIELD, "pre_save", rename)
    place = saved(base, Place, {"name": "x"}, {"image": image})

    assert place.image.name == "places/renamed-dune.jpg"


@both
def test_a_field_that_generates_names_by_itself_does_so(base, in_memory, monkeypatch):
    monkeypatch.setattr(FIELD, "generate_filename", lambda instance, name: f"own/{name[::-1]}")
    place = saved(base, Place, {"name": "x"}, {"image": in_memory("dune.jpg")})

    assert place.image.name == "own/gpj.enud"


# The storages of other files of the instance


def test_the_storage_of_another_file_of_the_instance_that_image_saved_has_is_that_of_its_field(
    connect, image
):
    storages = []

    def receive(instance, **kwargs):
        storages.append(instance.file.storage)

    connect(image_saved, receive)
    document = Document.objects.create(file=ContentFile(b"text", name="dune.txt"))
    async_saved(Document, {"title": "Dune"}, {"scan": image}, document)

    assert [type(each) for each in storages] == [type(Document._meta.get_field("file").storage)]


# A storage that the worker watches


class ByClass(FileSystemStorage):
    """Keeps its files in a folder that is named like the module of its class."""

    def _save(self, name, content):
        return super()._save(f"{type(self).__module__}/{name}", content)


@both
def test_a_storage_finds_the_module_of_its_class(base, image, monkeypatch, tmp_path):
    monkeypatch.setattr(FIELD, "storage", ByClass(tmp_path / "final"))

    place = saved(base, Place, {"name": "x"}, {"image": image})

    assert place.image.name == f"{__name__}/places/dune.jpg"


def nested_lazy(location):
    return SimpleLazyObject(lambda: Lazy(location))


@pytest.mark.parametrize("storage_class", [FileSystemStorage, Lazy, simple_lazy, nested_lazy])
def test_a_file_is_removed_from_this_storage_when_its_attempt_fails(
    connect, storage_class, image, monkeypatch, tmp_path
):
    def fail(created, **kwargs):
        if not created:
            raise OSError("the search engine is away")

    monkeypatch.setattr(FIELD, "storage", storage_class(tmp_path / "final"))
    async_form(Place, {"name": "x"}, {"image": image}).save()
    connect(post_save, fail, Place)
    with pytest.raises(OSError, match="the search engine"):
        attach(Upload.objects.start(Upload.objects.get().pk))

    assert not [path for path in (tmp_path / "final").rglob("*") if path.is_file()]


@pytest.fixture
def other_group():
    """A group that is not the process's own, and to which it may give a file."""
    groups = {*os.getgroups(), *([1] if os.geteuid() == 0 else [])} - {os.getegid()}
    if not groups:
        pytest.skip("The user is in no other group.")
    return min(groups)


@both
def test_a_file_belongs_to_the_group_of_its_storage(
    base, other_group, location, no_receivers, image, monkeypatch, tmp_path
):
    (tmp_path / "final").mkdir()
    os.chown(tmp_path / "final", -1, other_group)
    monkeypatch.setattr(FIELD, "storage", FileSystemStorage(tmp_path / "final"))

    place = saved(base, Place, {"name": "x"}, {"image": image})

    assert os.stat(place.image.path).st_gid == other_group


@both
def test_a_name_is_shortened_to_what_its_column_holds(base, in_memory):
    place = saved(base, Place, {"name": "x"}, {"image": in_memory(f"{'x' * 92}.jpg")})

    assert len(place.image.name) == 100
    assert place.image.name.startswith("places/xxx")
