"""The mixin's counterpart for Django REST framework: a serializer whose images a worker saves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from asgiref.sync import sync_to_async
from django import forms
from django.core.exceptions import ValidationError
from django.db import router
from django.db.models import FileField, ImageField, Model
from django.http import HttpRequest
from rest_framework import serializers
from rest_framework.fields import get_error_detail
from rest_framework.settings import api_settings

from .arrival import GONE
from .block import Block
from .draft_model import DraftGoneError
from .drafts import DraftFile, claimable
from .fields import file_field, file_fields, unwrapped
from .grants import purpose_of, read_draft_token
from .limits import check_limits, check_value_against_backlog
from .models import Upload
from .status import base_name, stored_file, token_for, upload_for, url_of

if TYPE_CHECKING:
    _Serializer = serializers.ModelSerializer[Any]
    _Field = serializers.Field[Any, Any, Any, Any]
else:
    _Serializer = object
    _Field = serializers.Field


class AsyncImageSerializerMixin(_Serializer):
    """
    Mix in before ``ModelSerializer``: saving the serializer has a worker save its images.

    ::

        class PhotoSerializer(AsyncImageSerializerMixin, serializers.ModelSerializer):
            state = ImageStateField(source="image")

            class Meta:
                model = Photo
                fields = ["title", "image", "state"]

    ``save()`` behaves as that of a form with ``AsyncImageFormMixin``, for a file that comes as
    multipart, and for the token of a draft, which JSON can carry. That holds for partial updates,
    for ``many=True`` with any ``ListSerializer``, and for nested serializers with this mixin,
    whether ``create()`` and ``update()`` of the outer one save their data or call their ``save()``.

    Sizes, pixels and formats are limited as in forms: by ``ASYNC_FORMS``.
    """

    #: As in ``AsyncImageFormMixin``: ``None`` stands for every ``ImageField`` that it has.
    async_fields: Sequence[str] | None = None

    #: As in ``AsyncImageFormMixin``: with ``"replacing"``, the request saves an image that replaces
    #: none.
    async_when: Literal["always", "replacing"] = "always"

    #: As in ``AsyncImageFormMixin``: fields whose images nobody sees before they are saved.
    hide_staged: Sequence[str] = ()

    @classmethod
    def many_init(cls, *args: Any, **kwargs: Any) -> Any:
        """Make the serializer of ``many=True``, whose ``save()`` has a worker save all images."""
        made: Any = super().many_init(*args, **kwargs)
        save, asave = made.save, getattr(made, "asave", None)

        def save_all(*args: Any, **kwargs: Any) -> Any:
            with _saving_images(made):
                return save(*args, **kwargs)

        async def asave_all(*args: Any, **kwargs: Any) -> Any:
            if asave is None:
                return await sync_to_async(save_all)(*args, **kwargs)
            with _saving_images(made):
                return await asave(*args, **kwargs)

        # On this one: its class is REST framework's, or the project's.
        made.save, made.asave, made.ais_valid = save_all, asave_all, sync_to_async(made.is_valid)
        return made

    def get_async_fields(self) -> dict[str, FileField]:
        """Return the model's file fields that a worker saves, by the names of their fields here."""
        return self._async_fields_of(self.fields)

    def _async_fields_of(self, fields: Mapping[str, Any]) -> dict[str, FileField]:
        named = {field.name: field for field in file_fields(self.Meta.model)}
        found = {}
        for name, field in fields.items():
            model_field = named.get(field.source or name)
            if model_field is None or field.read_only:
                continue
            is_wanted = (
                isinstance(model_field, ImageField)
                if self.async_fields is None
                else model_field.name in self.async_fields
            )
            if is_wanted:
                found[name] = model_field
        return found

    def get_fields(self) -> dict[str, Any]:
        """Return the fields; those for images check the limits, and accept the token of a draft."""
        fields: dict[str, Any] = super().get_fields()
        for name, model_field in self._async_fields_of(fields).items():
            field = fields[name]
            if not isinstance(field, serializers.FileField):
                continue  # One of the project's, of which nothing else is known.
            field.validators = [
                *field.validators,
                partial(check_limits, model_field),
                partial(self._check_backlog, model_field),
            ]
            _accept_drafts(field, model_field)
        return fields

    def _check_backlog(self, model_field: FileField, value: Any) -> None:
        instance = self.instance
        if self.async_when == "replacing" and not getattr(instance, model_field.attname, None):
            return  # The request saves it.
        check_value_against_backlog(partial(router.db_for_write, self.Meta.model), value)

    def save(self, *args: Any, **kwargs: Any) -> Any:
        """
        Save the instance without its images, and stage those for a worker.

        The arguments are those of the next ``save()``. Raises the exceptions of
        ``ModelSerializer.save()`` and of the staging storage, and REST framework's
        ``ValidationError`` if another request has claimed a draft since validation.
        """
        with _saving_images(self) as block:
            self._take(block, kwargs)
            return super().save(*args, **kwargs)

    async def ais_valid(self, *, raise_exception: bool = False) -> bool:
        """Do as ``is_valid()``, in asynchronous code."""
        return await sync_to_async(self.is_valid)(raise_exception=raise_exception)

    async def asave(self, *args: Any, **kwargs: Any) -> Any:
        """
        Do as ``save()``, in asynchronous code. Its transaction needs a thread.

        With the serializers of ``adrf``, ``acreate()`` and ``aupdate()`` save the instance.
        """
        save = getattr(super(), "asave", None)
        if save is None:
            return await sync_to_async(self.save)(*args, **kwargs)
        with _saving_images(self) as block:
            await sync_to_async(self._take)(block, kwargs)
            return await save(*args, **kwargs)

    def _take(self, block: Block | None, kwargs: Mapping[str, Any]) -> None:
        """Let a block leave the images of the instance that is updated to a worker."""
        if self.instance is not None and block is not None:
            # Nothing is validated yet if super().save() raises the error that says so.
            data = {**getattr(self, "_validated_data", {}), **kwargs}
            block.take(self.instance, self._cleared(data))

    def create(self, validated_data: Any) -> Any:
        """Create an instance, whose images a worker saves."""
        with _saving_images(self):
            return super().create(validated_data)

    def update(self, instance: Any, validated_data: Any) -> Any:
        """Update an instance, whose new images a worker saves."""
        with _saving_images(self) as block:
            if block is not None:
                block.take(instance, self._cleared(validated_data))
            return super().update(instance, validated_data)

    def _cleared(self, validated_data: Mapping[str, Any]) -> set[str]:
        """Return the names of the model's fields that the data empties."""
        names = {field.name for field in self.get_async_fields().values()}
        return {name for name in names & validated_data.keys() if not validated_data[name]}


@contextmanager
def _saving_images(serializer: Any) -> Iterator[Block | None]:
    """
    Let a worker save the images of a serializer, and of those that are nested in it.

    Yield the block for the serializer's own model, if it has images.
    """
    blocks = {
        model: Block(
            model,
            fields={field.name for one in alike for field in one.get_async_fields().values()},
            when="always" if any(one.async_when == "always" for one in alike) else "replacing",
            hide_staged={name for one in alike for name in one.hide_staged},
            request=_request_of(serializer),
        )
        for model, alike in _by_model(serializer).items()
    }
    with ExitStack() as stack:
        for block in blocks.values():
            stack.enter_context(block)
        try:
            yield blocks.get(_one(serializer).Meta.model)
        except DraftGoneError as error:
            errors = {api_settings.NON_FIELD_ERRORS_KEY: [GONE]}
            raise serializers.ValidationError(errors, code="draft_gone") from error


def _by_model(serializer: Any) -> dict[type[Model], list[Any]]:
    found: dict[type[Model], list[Any]] = {}
    for one in _with_nested(serializer):
        if one.get_async_fields():
            found.setdefault(one.Meta.model, []).append(one)
    return found


def _with_nested(serializer: Any) -> Iterator[Any]:
    one = _one(serializer)
    if isinstance(one, AsyncImageSerializerMixin):
        yield one
    for field in getattr(one, "fields", {}).values():
        if isinstance(field, serializers.BaseSerializer) and not field.read_only:
            yield from _with_nested(field)


def _one(serializer: Any) -> Any:
    return serializer.child if isinstance(serializer, serializers.ListSerializer) else serializer


def _request_of(field: Any) -> HttpRequest | None:
    """Return Django's request, which REST framework's wraps."""
    request = field.context.get("request")
    found: HttpRequest | None = getattr(request, "_request", request)
    return found


def _accept_drafts(field: Any, model_field: FileField) -> None:
    """
    Make a field accept the token of a draft, which is validated as a file is.

    Any other text goes to the field: one of the project's may read Base64.
    """
    to_internal_value = field.to_internal_value

    def accept(data: Any) -> Any:
        request = _request_of(field)
        if request is None or not isinstance(data, str) or read_draft_token(data) is None:
            return to_internal_value(data)
        try:
            file = claimable(request, data, purpose_of(model_field))
        except ValidationError as error:
            raise serializers.ValidationError(get_error_detail(error)) from error
        if _is_validated(field, file):
            return serializers.FileField.to_internal_value(field, file)
        try:
            return to_internal_value(file)
        except DraftGoneError as error:
            raise serializers.ValidationError(GONE, code="draft_gone") from error

    field.to_internal_value = accept


def _is_validated(field: Any, file: DraftFile) -> bool:
    """
    Tell whether a field has nothing left to find out about the bytes of a draft.

    Django's ``ImageField``, by which REST framework validates, would read all of it again.
    """
    own = type(field).to_internal_value
    if own is serializers.ImageField.to_internal_value:
        return file.draft.is_image and field._DjangoImageField is forms.ImageField
    return own is serializers.FileField.to_internal_value


class ImageStateField(_Field):
    """
    A field to read: the state of an image, its URL, name and dimensions.

    ::

        {"state": "pending", "url": null, "name": "dune.jpg", "width": 640, "height": 480}

    ``state`` is ``"pending"``, ``"failed"`` or ``"saved"``. While an image is pending, ``url`` is
    that of the old one, or ``null``, and the name and dimensions are the new one's. ``token`` asks
    for its status at the URL that ``django_async_forms.urls`` has for it. For a list, call
    ``prefetch_uploads()`` on its instances: each asks nothing more then.
    """

    #: What drf-spectacular's ``extend_schema_field()`` would set, without importing it.
    _spectacular_annotation = {
        "field": {
            "type": "object",
            "readOnly": True,
            "properties": {
                "state": {"type": "string", "enum": ["pending", "failed", "saved"]},
                "url": {"type": "string", "format": "uri", "nullable": True},
                "name": {"type": "string"},
                "width": {"type": "integer", "nullable": True},
                "height": {"type": "integer", "nullable": True},
                "token": {"type": "string", "description": "Only while the image is pending."},
            },
            "required": ["state", "url", "name", "width", "height"],
        }
    }

    def __init__(self, **kwargs: Any) -> None:
        kwargs["read_only"] = True
        super().__init__(**kwargs)

    def get_attribute(self, instance: Model) -> Any:
        """Return the instance, of which ``source`` names the field."""
        found: Model = unwrapped(instance)
        return found

    def to_representation(self, instance: Model) -> dict[str, Any]:
        """Return the state. Raises ``FieldDoesNotExist`` if ``source`` is not a file field."""
        field = file_field(type(instance), self.source or "")
        upload = upload_for(instance, field.name)
        stored = stored_file(instance, field)
        url = url_of(stored)
        request = self.context.get("request")
        if url is not None and request is not None:
            url = request.build_absolute_uri(url)
        is_pending = upload is not None and upload.state == Upload.State.PENDING
        if upload is None:
            width, height = _stored_dimensions(instance, field)
            name, state = base_name(stored.name), "saved"
        else:
            width, height = upload.width, upload.height
            name, state = base_name(upload.name), upload.state
        found = {"state": state, "url": url, "name": name, "width": width, "height": height}
        return {**found, "token": token_for(instance, field)} if is_pending else found


def _stored_dimensions(instance: Model, field: FileField) -> tuple[int | None, int | None]:
    """Return the dimensions that the row has. Those of a file would mean to open it."""
    names = (getattr(field, "width_field", None), getattr(field, "height_field", None))
    width, height = (getattr(instance, name) if name else None for name in names)
    return width, height
