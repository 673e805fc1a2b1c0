"""The mixin's counterpart for Django REST framework: a serializer whose images a worker saves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from django.core.exceptions import ValidationError
from django.db import router
from django.db.models import FileField, ImageField, Model
from django.http import HttpRequest
from rest_framework import serializers
from rest_framework.fields import get_error_detail

from .drafts import claimable
from .fields import file_field, file_fields
from .grants import purpose_of
from .limits import check_backlog, check_limits
from .models import Upload
from .status import base_name, stored_file, token_for, upload_for, url_of
from .uploads import async_images

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
    for ``many=True``, and for nested serializers with this mixin that the serializer's own
    ``create()`` or ``update()`` saves.
    """

    #: As in ``AsyncImageFormMixin``: ``None`` stands for every ``ImageField`` that it has.
    async_fields: Sequence[str] | None = None

    #: As in ``AsyncImageFormMixin``: ``"replacing"`` saves a new instance's images at once.
    async_when: Literal["always", "replacing"] = "always"

    @classmethod
    def many_init(cls, *args: Any, **kwargs: Any) -> Any:
        """Make the serializer of ``many=True``, whose ``save()`` has a worker save all images."""
        made = super().many_init(*args, **kwargs)
        save = made.save

        def save_all(**kwargs: Any) -> Any:
            with _saving_images(made.child):
                return save(**kwargs)

        # On this one: its class is REST framework's, or the project's.
        made.save = save_all
        return made

    def get_async_fields(self) -> dict[str, FileField]:
        """Return the model's file fields that a worker saves, by the names of their fields here."""
        return self._async_fields_of(self.fields)

    def _async_fields_of(self, fields: Mapping[str, Any]) -> dict[str, FileField]:
        found = {}
        for name, field in fields.items():
            model_field = _model_field(self.Meta.model, name, field)
            if model_field is None or field.read_only:
                continue
            is_wanted = (
                isinstance(model_field, ImageField)
                if self.async_fields is None
                else model_field.name in self.async_fields
            )
            if is_wanted and isinstance(field, serializers.FileField):
                found[name] = model_field
        return found

    def get_fields(self) -> dict[str, Any]:
        """Return the fields; those for images check the limits, and accept the token of a draft."""
        fields: dict[str, Any] = super().get_fields()
        request = self.context.get("request")
        using = router.db_for_write(self.Meta.model)
        for name, model_field in self._async_fields_of(fields).items():
            field = fields[name]
            field.validators = [
                *field.validators,
                partial(check_limits, model_field),
                partial(check_backlog, using),
            ]
            _accept_drafts(field, model_field, getattr(request, "_request", request))
        return fields

    def save(self, **kwargs: Any) -> Any:
        """Save the instance without its images, and stage those for a worker."""
        with _saving_images(self):
            return super().save(**kwargs)


@contextmanager
def _saving_images(serializer: Any) -> Iterator[None]:
    """Let a worker save the images of a serializer, and of those that are nested in it."""
    request = serializer.context.get("request")
    with ExitStack() as stack:
        for one in _with_nested(serializer):
            names = {field.name for field in one.get_async_fields().values()}
            if names:
                stack.enter_context(
                    async_images(
                        one.Meta.model,
                        fields=names,
                        only_replaces=one.async_when == "replacing",
                        # REST framework's request wraps Django's.
                        request=getattr(request, "_request", request),
                    )
                )
        yield


def _with_nested(serializer: Any) -> Iterator[Any]:
    if isinstance(serializer, serializers.ListSerializer):
        serializer = serializer.child
    if isinstance(serializer, AsyncImageSerializerMixin):
        yield serializer
    for field in getattr(serializer, "fields", {}).values():
        if isinstance(field, serializers.BaseSerializer) and not field.read_only:
            yield from _with_nested(field)


def _model_field(model: type[Model], name: str, field: Any) -> FileField | None:
    named = {found.name: found for found in file_fields(model)}
    return named.get(field.source or name)


def _accept_drafts(field: Any, model_field: FileField, request: HttpRequest | None) -> None:
    """
    Make a field accept the token of a draft, and check the limits of a file.

    A draft was validated when it arrived: Django's ``ImageField`` would read all of it again.
    """
    to_internal_value = field.to_internal_value

    def accept(data: Any) -> Any:
        if not isinstance(data, str) or request is None:
            return to_internal_value(data)
        try:
            file = claimable(request, data, purpose_of(model_field))
        except ValidationError as error:
            raise serializers.ValidationError(get_error_detail(error)) from error
        own = type(field).to_internal_value
        is_ours = own in (
            serializers.FileField.to_internal_value,
            serializers.ImageField.to_internal_value,
        )
        # A field of the project's may do more.
        return file if is_ours else to_internal_value(file)

    field.to_internal_value = accept


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
        return instance

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
