"""Describes the images of serializers in the schemas that drf-spectacular generates."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.settings import spectacular_settings

from .rest_framework import AsyncImageSerializerMixin

_TAKES = "A file, as multipart. In JSON, the token of a draft."


class AsyncImageExtension(OpenApiSerializerFieldExtension):  # type: ignore[misc]
    """A field that a worker saves also takes the token of a draft, and is null until then."""

    target_class = "rest_framework.fields.FileField"
    match_subclasses = True
    #: After the extensions of the project, which may be for a subclass.
    priority = -1

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Any:
        """Return what drf-spectacular generates, with what the mixin adds."""
        field = self.target
        schema = auto_schema._map_serializer_field(field, direction, bypass_extensions=True)
        if not (
            isinstance(field.parent, AsyncImageSerializerMixin)
            and field.field_name in field.parent.get_async_fields()
        ):
            return schema
        is_split = spectacular_settings.COMPONENT_SPLIT_REQUEST
        if not is_split or direction == "response":
            schema = {**schema, "nullable": True}
        if not is_split or direction == "request":
            description = " ".join(filter(None, [schema.get("description"), _TAKES]))
            schema = {**schema, "description": description}
        return schema
