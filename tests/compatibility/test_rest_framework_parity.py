"""Django REST framework: a serializer with the mixin stores what a plain one stores."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction

from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests import pictures
from tests.project.models import Album, Document, Measured, Page, Photo, Place, Restaurant

from . import libraries

libraries.need("djangorestframework")

from rest_framework import serializers  # noqa: E402

from django_async_forms.rest_framework import AsyncImageSerializerMixin  # noqa: E402

pytestmark = pytest.mark.django_db

PICTURE = pictures.jpeg()
OTHER = pictures.jpeg(32, 24)


def picture(name="dune.jpg", data=PICTURE, content_type="image/jpeg"):
    return SimpleUploadedFile(name, data, content_type)


def serializer_class(mixins, model, names, base=serializers.ModelSerializer, **attributes):
    extra = attributes.pop("extra_kwargs", {})
    meta = type("Meta", (), {"model": model, "fields": names, "extra_kwargs": extra})
    return type("ParitySerializer", (*mixins, base), {"Meta": meta, **attributes})


def outcome(run, *models):
    """Return what a case raises or its errors, and what is stored after it."""
    try:
        with transaction.atomic():
            errors = run()
    except Exception as error:
        errors = f"{type(error).__name__}: {error}"
    save_pending_uploads()
    assert not Upload.objects.exists()
    return errors, [row(each) for model in models for each in model.objects.order_by("pk")]


def row(instance):
    """Return the values of an instance, its files by content and without its keys."""
    found = {}
    for field in instance._meta.concrete_fields:
        if field.primary_key or field.is_relation:
            continue
        value = getattr(instance, field.attname)
        if hasattr(value, "storage"):
            value = (pictures.stored(value), value.name) if value else value.name
        found[field.name] = value
    return found


def saved(serializer, **kwargs):
    if not serializer.is_valid():
        return serializer.errors
    serializer.save(**kwargs)
    return None


CASES = {}


def case(*models):
    def register(function):
        CASES[function.__name__] = function, models
        return function

    return register


NAMES = ["title", "image"]


@case(Photo)
def a_new_photo(mixins):
    return saved(serializer_class(mixins, Photo, NAMES)(data={"title": "A", "image": picture()}))


@case(Photo)
def a_file_that_is_not_an_image(mixins):
    return saved(
        serializer_class(mixins, Photo, NAMES)(data={"title": "A", "image": picture(data=b"text")})
    )


@case(Photo)
def an_empty_file(mixins):
    return saved(
        serializer_class(mixins, Photo, NAMES)(data={"title": "A", "image": picture(data=b"")})
    )


@case(Photo)
def a_name_that_is_too_long(mixins):
    return saved(
        serializer_class(mixins, Photo, NAMES)(
            data={"title": "A", "image": picture("n" * 120 + ".jpg")}
        )
    )


def change(value):
    def run(mixins, model=Measured, **options):
        instance = model.objects.create(title="A", image=picture("old.jpg", OTHER))
        cls = serializer_class(mixins, model, NAMES, **options)
        return saved(cls(instance, {"image": value}, partial=True))

    return run


@case(Measured)
def null_for_an_image_that_may_not_be_null(mixins):
    return change(None)(mixins)


@case(Measured)
def null_for_an_image_that_may_be_null(mixins):
    return change(None)(mixins, extra_kwargs={"image": {"allow_null": True}})


@case(Measured)
def an_empty_text(mixins):
    return change("")(mixins)


@case(Measured)
def an_empty_text_for_an_image_that_may_be_null(mixins):
    return change("")(mixins, extra_kwargs={"image": {"allow_null": True}})


@case(Measured)
def a_text(mixins):
    return change("https://example.com/dune.jpg")(mixins)


@case(Measured)
def a_number(mixins):
    return change(7)(mixins)


@case(Measured)
def a_list(mixins):
    return change([picture()])(mixins)


@case(Measured)
def false(mixins):
    return change(False)(mixins)


@case(Photo)
def another_name(mixins):
    cls = serializer_class(
        mixins, Photo, ["title", "picture"], picture=serializers.ImageField(source="image")
    )
    return saved(cls(data={"title": "A", "picture": picture()}))


@case(Photo)
def a_field_that_is_only_written(mixins):
    cls = serializer_class(mixins, Photo, NAMES, extra_kwargs={"image": {"write_only": True}})
    return saved(cls(data={"title": "A", "image": picture()}))


@case(Photo)
def a_field_that_is_only_read(mixins):
    cls = serializer_class(mixins, Photo, NAMES, extra_kwargs={"image": {"read_only": True}})
    return saved(cls(data={"title": "A", "image": picture()}))


@case(Measured)
def a_field_that_is_not_required(mixins):
    cls = serializer_class(mixins, Measured, NAMES, extra_kwargs={"image": {"required": False}})
    return saved(cls(data={"title": "A"}))


@case(Photo)
def a_file_field_for_an_image(mixins):
    cls = serializer_class(mixins, Photo, NAMES, image=serializers.FileField())
    return saved(cls(data={"title": "A", "image": picture(data=b"text")}))


@case(Measured)
def a_hyperlinked_serializer(mixins):
    cls = serializer_class(mixins, Measured, NAMES, base=serializers.HyperlinkedModelSerializer)
    return saved(cls(data={"title": "A", "image": picture()}))


@case(Measured)
def values_that_save_adds(mixins):
    cls = serializer_class(mixins, Measured, ["image"])
    return saved(cls(data={"image": picture()}), title="Added")


@case(Measured)
def an_image_that_save_adds(mixins):
    return saved(serializer_class(mixins, Measured, NAMES)(data={"title": "A"}), image=picture())


@case(Measured)
def an_image_that_save_adds_to_an_update(mixins):
    instance = Measured.objects.create(title="A", image=picture("old.jpg", OTHER))
    cls = serializer_class(mixins, Measured, NAMES)
    return saved(cls(instance, {"title": "B"}, partial=True), image=picture())


@case(Measured)
def an_image_that_save_empties(mixins):
    instance = Measured.objects.create(title="A", image=picture("old.jpg", OTHER))
    cls = serializer_class(mixins, Measured, NAMES)
    return saved(cls(instance, {"title": "B"}, partial=True), image="")


@case(Measured)
def a_new_image_after_one(mixins):
    return change(picture())(mixins)


@case(Measured)
def two_images(mixins):
    cls = serializer_class(mixins, Measured, [*NAMES, "cover"])
    return saved(cls(data={"title": "A", "image": picture(), "cover": picture(data=OTHER)}))


def creating(create):
    def run(mixins):
        cls = serializer_class(mixins, Photo, NAMES, create=create)
        return saved(cls(data={"title": "A", "image": picture()}))

    return run


@case(Photo)
def a_create_that_calls_the_manager(mixins):
    return creating(lambda self, data: Photo.objects.create(**data))(mixins)


@case(Photo)
def a_create_that_saves_twice(mixins):
    def create(self, data):
        photo = Photo(**data)
        photo.save()
        photo.title = "B"
        photo.save()
        return photo

    return creating(create)(mixins)


@case(Photo)
def a_create_that_saves_the_image_after_the_row(mixins):
    def create(self, data):
        image = data.pop("image")
        photo = Photo.objects.create(**data)
        photo.image = image
        photo.save(update_fields=["image"])
        return photo

    return creating(create)(mixins)


@case(Photo)
def a_create_that_saves_the_field_itself(mixins):
    def create(self, data):
        image = data.pop("image")
        photo = Photo.objects.create(**data)
        photo.image.save(image.name, image)
        return photo

    return creating(create)(mixins)


@case(Photo)
def a_create_that_makes_one_or_updates(mixins):
    Photo.objects.create(title="A", image=picture("old.jpg", OTHER))

    def create(self, data):
        photo, _ = Photo.objects.update_or_create(title=data.pop("title"), defaults=data)
        return photo

    return creating(create)(mixins)


@case(Photo)
def a_create_in_bulk(mixins):
    return creating(lambda self, data: Photo.objects.bulk_create([Photo(**data)])[0])(mixins)


@case(Photo)
def a_create_that_raises_after_the_save(mixins):
    def create(self, data):
        Photo.objects.create(**data)
        raise LookupError("no more")

    return creating(create)(mixins)


def updating(update):
    def run(mixins):
        instance = Photo.objects.create(title="A", image=picture("old.jpg", OTHER))
        cls = serializer_class(mixins, Photo, NAMES, update=update)
        return saved(cls(instance, {"title": "B", "image": picture()}))

    return run


@case(Photo)
def an_update_of_a_locked_row(mixins):
    def update(self, instance, data):
        locked = Photo.objects.get(pk=instance.pk)
        for name, value in data.items():
            setattr(locked, name, value)
        locked.save()
        return locked

    return updating(update)(mixins)


@case(Photo)
def an_update_of_some_columns(mixins):
    def update(self, instance, data):
        instance.title, instance.image = data["title"], data["image"]
        instance.save(update_fields=["image"])
        return instance

    return updating(update)(mixins)


@case(Photo)
def an_update_that_ignores_the_image(mixins):
    def update(self, instance, data):
        data.pop("image")
        for name, value in data.items():
            setattr(instance, name, value)
        instance.save()
        return instance

    return updating(update)(mixins)


@case(Photo)
def an_update_that_replaces_the_row(mixins):
    def update(self, instance, data):
        instance.delete()
        return Photo.objects.create(**data)

    return updating(update)(mixins)


@case(Photo)
def many(mixins):
    data = [{"title": name, "image": picture(f"{name}.jpg")} for name in "ABC"]
    return saved(serializer_class(mixins, Photo, NAMES)(data=data, many=True))


@case(Photo)
def many_of_which_one_is_wrong(mixins):
    data = [{"title": "A", "image": picture()}, {"title": "B", "image": picture(data=b"text")}]
    return saved(serializer_class(mixins, Photo, NAMES)(data=data, many=True))


@case(Album, Page)
def nested_ones(mixins):
    def create(self, data):
        pages = data.pop("pages")
        album = Album.objects.create(**data)
        for page in pages:
            Page.objects.create(album=album, **page)
        return album

    inner = serializer_class(mixins, Page, ["image", "caption"])
    outer = serializer_class(
        mixins, Album, ["name", "cover", "pages"], pages=inner(many=True), create=create
    )
    pages = [{"caption": name, "image": picture(f"{name}.jpg")} for name in "AB"]
    return saved(outer(data={"name": "Dunes", "cover": picture(), "pages": pages}))


@case(Album, Page)
def nested_ones_of_another_name(mixins):
    def create(self, data):
        page = data.pop("first")
        album = Album.objects.create(**data)
        Page.objects.create(album=album, **page)
        return album

    inner = serializer_class(mixins, Page, ["image", "caption"])
    outer = serializer_class(
        mixins, Album, ["name", "page"], page=inner(source="first"), create=create
    )
    page = {"caption": "A", "image": picture()}
    return saved(outer(data={"name": "Dunes", "page": page}))


@case(Album, Page)
def nested_ones_without_a_create(mixins):
    inner = serializer_class(mixins, Page, ["image", "caption"])
    outer = serializer_class(mixins, Album, ["name", "pages"], pages=inner(many=True))
    pages = [{"caption": "A", "image": picture()}]
    try:
        return saved(outer(data={"name": "Dunes", "pages": pages}))
    except AssertionError:
        return "AssertionError"


@case(Place, Restaurant)
def a_model_that_inherits(mixins):
    cls = serializer_class(mixins, Restaurant, ["name", "image", "menu"])
    return saved(cls(data={"name": "A", "image": picture(), "menu": picture("menu.jpg")}))


@case(Document)
def a_plain_file(mixins):
    cls = serializer_class(mixins, Document, ["file", "scan"], async_fields=["file", "scan"])
    return saved(cls(data={"file": picture("a.txt", b"text"), "scan": picture()}))


@case(Photo)
def a_validator_of_the_field(mixins):
    def refuse(value):
        raise serializers.ValidationError(f"{value.name} is bad.")

    cls = serializer_class(mixins, Photo, NAMES, extra_kwargs={"image": {"validators": [refuse]}})
    return saved(cls(data={"title": "A", "image": picture()}))


@case(Photo)
def a_method_that_validates_the_field(mixins):
    def validate_image(self, value):
        return picture("other.jpg", OTHER)

    cls = serializer_class(mixins, Photo, NAMES, validate_image=validate_image)
    return saved(cls(data={"title": "A", "image": picture()}))


@case(Photo)
def a_serializer_that_changes_what_it_reads(mixins):
    def to_internal_value(self, data):
        data = serializers.ModelSerializer.to_internal_value(self, data)
        return {**data, "title": data["title"].lower()}

    cls = serializer_class(mixins, Photo, NAMES, to_internal_value=to_internal_value)
    return saved(cls(data={"title": "A", "image": picture()}))


@case(Photo)
def a_default(mixins):
    field = serializers.ImageField(default=picture)
    return saved(serializer_class(mixins, Photo, NAMES, image=field)(data={"title": "A"}))


@case(Photo)
def a_field_that_nobody_sends(mixins):
    field = serializers.HiddenField(default=picture)
    return saved(serializer_class(mixins, Photo, NAMES, image=field)(data={"title": "A"}))


@case(Measured)
def an_update_that_ignores_a_null(mixins):
    instance = Measured.objects.create(title="A", image=picture("old.jpg", OTHER))

    def update(self, instance, data):
        instance.title = "B"
        instance.save()
        return instance

    options = {"extra_kwargs": {"image": {"allow_null": True}}, "update": update}
    cls = serializer_class(mixins, Measured, NAMES, **options)
    return saved(cls(instance, {"image": None}, partial=True))


@case(Album, Page)
def an_image_of_a_related_instance(mixins):
    album = Album.objects.create(name="A", cover=picture("old.jpg", OTHER))
    page = Page.objects.create(album=album, caption="A", image=picture("page.jpg", OTHER))

    def update(self, instance, data):
        instance.album.cover = data["album"]["cover"]
        instance.album.save()
        return instance

    cover = serializers.ImageField(source="album.cover")
    cls = serializer_class(mixins, Page, ["cover"], cover=cover, update=update)
    return saved(cls(page, {"cover": picture()}))


@case(Photo)
def an_instance_that_is_saved_again_later(mixins):
    serializer = serializer_class(mixins, Photo, NAMES)(data={"title": "A", "image": picture()})
    assert serializer.is_valid()
    photo = serializer.save()
    photo.title = "B"
    photo.save()


@case(Photo)
def a_save_before_validation(mixins):
    return serializer_class(mixins, Photo, NAMES)(data={"title": "A"}).save()


@case(Photo)
def a_save_of_invalid_data(mixins):
    serializer = serializer_class(mixins, Photo, NAMES)(data={"title": "A"})
    serializer.is_valid()
    return serializer.save()


@case(Photo)
def a_save_without_data(mixins):
    return serializer_class(mixins, Photo, NAMES)(Photo(title="A")).save()


@pytest.mark.parametrize("name", CASES)
def test_a_serializer_stores_what_a_plain_one_stores(name, settings, tmp_path):
    run, models = CASES[name]
    with transaction.atomic():
        expected = outcome(lambda: run(()), *models)
        transaction.set_rollback(True)
    settings.MEDIA_ROOT = tmp_path / "of the mixin"  # The names in it are free.

    assert outcome(lambda: run((AsyncImageSerializerMixin,)), *models) == expected
